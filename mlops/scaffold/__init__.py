"""`mlops new`: a training pipeline's files, drafted from a CSV file. Names from the file are data, and never code."""
