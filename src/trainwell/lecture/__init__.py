"""The notes made live: their pictures redrawn, their claims measured."""
