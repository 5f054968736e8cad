module elementum.example/torrent/bench/swig

go 1.25
