module ostia

go 1.26
