"""The program for everything that exists once, before the first stack."""
