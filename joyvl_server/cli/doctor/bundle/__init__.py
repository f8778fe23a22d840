"""`joyvl support-bundle`: what helpers need to see, without secrets, pictures or words of people."""
