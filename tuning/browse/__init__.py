"""MLflow and optuna-dashboard in the browser: the right store, and addresses that lead to what is looked for."""
