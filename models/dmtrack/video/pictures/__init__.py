"""Picture files and folders of them: pixels as stored, order, times in names, sensor formats."""
