module elementum.example/torrent

go 1.25
