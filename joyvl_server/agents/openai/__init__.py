"""Agent `openai`: any server that speaks OpenAI's chat completions or responses."""
