package main

import (
	"fmt"
	"net/http"

	"elementum.example/torrent"
)

func (s *service) getSession(w http.ResponseWriter, r *http.Request) {
	view, err := s.sessionView()
	if err != nil {
		fail(w, r, err)
		return
	}
	reply(w, r, http.StatusOK, view)
}

// The least that the setting takes.
const leastMemoryLimit = 256 << 10

func (s *service) patchSession(w http.ResponseWriter, r *http.Request) {
	var change struct {
		MemoryLimit   *int64 `json:"memory_limit"`
		DownloadLimit *int64 `json:"download_limit"`
		UploadLimit   *int64 `json:"upload_limit"`
		Paused        *bool  `json:"paused"`
	}
	if err := s.readJSON(w, r, maxJSON, &change); err != nil {
		fail(w, r, err)
		return
	}
	settings := torrent.Settings{}
	if change.MemoryLimit != nil {
		if *change.MemoryLimit < leastMemoryLimit {
			fail(w, r, badRequest("invalid_argument", fmt.Sprintf("memory_limit: %d is less than %d", *change.MemoryLimit, leastMemoryLimit)))
			return
		}
		settings["memory_limit"] = *change.MemoryLimit
	}
	for name, value := range map[string]*int64{"download": change.DownloadLimit, "upload": change.UploadLimit} {
		if err := checkLimit(name+"_limit", value); err != nil {
			fail(w, r, err)
			return
		}
		if value != nil {
			settings[name+"_rate_limit"] = *value
		}
	}
	if err := s.session.ApplySettings(settings); err != nil {
		fail(w, r, err)
		return
	}
	// It may hold more streams now.
	s.streams.advance()
	if change.Paused != nil {
		pause := s.session.Resume
		if *change.Paused {
			pause = s.session.Pause
		}
		if err := pause(); err != nil {
			fail(w, r, err)
			return
		}
	}
	s.getSession(w, r)
}

func (s *service) listTorrents(w http.ResponseWriter, r *http.Request) {
	views, err := s.torrentViews()
	if err != nil {
		fail(w, r, err)
		return
	}
	reply(w, r, http.StatusOK, struct {
		Torrents []torrentView `json:"torrents"`
	}{views})
}

func (s *service) getTorrent(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) { return s.torrentViewOf(t) })
}

// withTorrent answers with what is made of the torrent that the path names.
func (s *service) withTorrent(w http.ResponseWriter, r *http.Request, view func(*torrent.Torrent) (any, error)) {
	target, err := s.torrentOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	value, err := view(target)
	if err != nil {
		fail(w, r, err)
		return
	}
	reply(w, r, http.StatusOK, value)
}

func (s *service) patchTorrent(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		var change struct {
			DownloadLimit  *int64 `json:"download_limit"`
			UploadLimit    *int64 `json:"upload_limit"`
			MaxConnections *int64 `json:"max_connections"`
			MaxUploads     *int64 `json:"max_uploads"`
		}
		if err := s.readJSON(w, r, maxJSON, &change); err != nil {
			return nil, err
		}
		limits := []struct {
			name  string
			value *int64
			set   func(int64) error
		}{
			{"download_limit", change.DownloadLimit, t.SetDownloadLimit},
			{"upload_limit", change.UploadLimit, t.SetUploadLimit},
			{"max_connections", change.MaxConnections, t.SetMaxConnections},
			{"max_uploads", change.MaxUploads, t.SetMaxUploads},
		}
		// All are looked at before the first is set.
		for _, limit := range limits {
			if err := checkLimit(limit.name, limit.value); err != nil {
				return nil, err
			}
		}
		for _, limit := range limits {
			if limit.value == nil {
				continue
			}
			if err := limit.set(*limit.value); err != nil {
				return nil, err
			}
		}
		return s.torrentViewOf(t)
	})
}

func (s *service) removeTorrent(w http.ResponseWriter, r *http.Request) {
	target, err := s.torrentOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	var flags torrent.RemoveFlags
	switch r.URL.Query().Get("delete_files") {
	case "true", "1":
		flags = torrent.RemoveDeleteFiles | torrent.RemoveDeletePartfile
	case "", "false", "0":
	default:
		fail(w, r, badRequest("invalid_argument", "delete_files: true or false is wanted"))
		return
	}
	if err := target.Remove(flags); err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) pauseTorrent(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		if err := t.Pause(); err != nil {
			return nil, err
		}
		return s.torrentViewOf(t)
	})
}

func (s *service) resumeTorrent(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		if err := t.Resume(); err != nil {
			return nil, err
		}
		return s.torrentViewOf(t)
	})
}

func (s *service) putFilePriority(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		var change struct {
			Priority *int64 `json:"priority"`
		}
		if err := s.readJSON(w, r, maxJSON, &change); err != nil {
			return nil, err
		}
		if change.Priority == nil || *change.Priority < 0 || *change.Priority > int64(torrent.TopPriority) {
			return nil, badRequest("invalid_argument", "priority: 0 to 7 is wanted")
		}
		file, err := s.fileOf(t, r)
		if err != nil {
			return nil, err
		}
		if err := t.SetFilePriority(file.Index, torrent.Priority(*change.Priority)); err != nil {
			return nil, err
		}
		state, err := fileStateOf(t)
		if err != nil {
			return nil, err
		}
		return state.view(&file), nil
	})
}

func (s *service) getPeers(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		peers, err := peerViews(t)
		return struct {
			Peers []peerView `json:"peers"`
		}{peers}, err
	})
}

func (s *service) getTrackers(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		trackers, err := trackerViews(t)
		return struct {
			Trackers []trackerView `json:"trackers"`
		}{trackers}, err
	})
}

func (s *service) getPieces(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) { return piecesViewOf(t) })
}
