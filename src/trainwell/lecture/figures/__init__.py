"""The pictures of the notes, a file a chapter; `table.FIGURES` names them all."""
