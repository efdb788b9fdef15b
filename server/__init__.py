"""What stands in the MLflow server's image beside MLflow: the bucket job and the wait for MySQL."""
