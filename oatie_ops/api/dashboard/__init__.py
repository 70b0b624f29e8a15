"""The dashboard: one frame of data, pages made of it on the server, and a script that keeps them fresh."""
