"""The claims of the notes, a file a chapter, each measured; `table.CLAIMS` names them all."""
