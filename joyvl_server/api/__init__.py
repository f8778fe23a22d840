"""The HTTP edge: parse, authorise, render. One file a resource; everything else is asked of the registry."""
