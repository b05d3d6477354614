"""Reading what people leave: a file for each store that they come from."""
