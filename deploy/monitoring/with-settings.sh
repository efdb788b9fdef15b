#!/bin/sh
# with-settings.sh TEMPLATE FILE COMMAND...: writes FILE, which is TEMPLATE with each ${NAME} in the
# place of the variable's value, and becomes the command. A line whose variable is empty is left
# out. Values stand in single quotes in the template, so that they can hold anything but a line's end.
# EXTERNAL_URL is where people find the server's pages: links in its messages lead there.
set -eu
umask 077
awk '{
  line = ""; rest = $0
  while (match(rest, /\$\{[A-Z0-9_]+\}/)) {
    value = ENVIRON[substr(rest, RSTART + 2, RLENGTH - 3)]
    if (value == "") next
    gsub(/\047/, "\047\047", value)
    line = line substr(rest, 1, RSTART - 1) value
    rest = substr(rest, RSTART + RLENGTH)
  }
  print line rest
}' "$1" >"$2"
shift 2
exec "$@" ${EXTERNAL_URL:+"--web.external-url=$EXTERNAL_URL"}
