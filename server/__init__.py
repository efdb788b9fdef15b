"""What stands in the MLflow server's image beside MLflow: the bucket job, and a start on MySQL."""
