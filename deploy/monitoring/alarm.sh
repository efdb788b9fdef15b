#!/bin/sh
# Runs in Alertmanager's container: a test alert, which goes the way of every other.
set -eu
if [ -z "$ALERT_MAIL_TO$ALERT_WEBHOOK_URL" ]; then
  echo "nobody is told of alerts: set ALERT_MAIL_TO or ALERT_WEBHOOK_URL in .env, and make up" >&2
  exit 2
fi
amtool --alertmanager.url=http://localhost:9093 alert add TestAlert severity=warning \
  --annotation='summary=A test: nothing is wrong' --annotation='description=Sent by make alarm.'
echo "sent; it should be with ${ALERT_MAIL_TO:-}${ALERT_MAIL_TO:+ }${ALERT_WEBHOOK_URL:+the webhook }in a minute."
echo "If it is not: docker compose logs alertmanager"
