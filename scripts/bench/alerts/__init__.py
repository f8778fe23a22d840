"""Are alerts told, whatever happens to the server?"""
