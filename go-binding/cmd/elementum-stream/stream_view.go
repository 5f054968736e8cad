package main

import (
	"cmp"
	"slices"
)

type streamView struct {
	ID             uint64 `json:"id"`
	Torrent        string `json:"torrent"`
	File           int    `json:"file"`
	Client         string `json:"client"`
	Agent          string `json:"agent"`
	Started        int64  `json:"started"`
	Sent           uint64 `json:"sent"`
	Open           bool   `json:"open"`
	Waiting        bool   `json:"waiting"`
	Position       int64  `json:"position"`
	Size           int64  `json:"size"`
	FileOffset     uint64 `json:"file_offset"`
	BufferedAhead  int64  `json:"buffered_ahead"`
	BufferedBehind int64  `json:"buffered_behind"`
	WindowBegin    int64  `json:"window_begin"`
	WindowEnd      int64  `json:"window_end"`
	Lookahead      int64  `json:"lookahead"`
	Lookbehind     int64  `json:"lookbehind"`
	Stalls         uint64 `json:"stalls"`
	StallMS        int64  `json:"stall_ms"`
	FirstByteMS    int64  `json:"first_byte_ms"`
	WastedBytes    uint64 `json:"wasted_bytes"`
	DuplicateBytes uint64 `json:"duplicate_bytes"`
	WaitedMS       int64  `json:"waited_ms"`
	Reason         string `json:"reason"`
	Explanation    string `json:"explanation"`
}

func (s *service) streamViews() []streamView {
	all := s.streams.snapshot()
	views := make([]streamView, 0, len(all))
	for id, content := range all {
		view := streamView{
			ID:         id,
			Torrent:    content.torrent.StorageIndex().String(),
			File:       int(content.file.Index),
			Client:     content.remote,
			Agent:      content.agent,
			Started:    content.started.Unix(),
			Sent:       content.sent.Load(),
			Size:       int64(content.file.Length),
			FileOffset: content.file.Offset,
		}
		if status, ok := content.status(); ok {
			view.Open = true
			view.Waiting = status.Waiting
			view.Position = status.Position
			view.BufferedAhead = status.BufferedAhead
			view.BufferedBehind = status.BufferedBehind
			view.WindowBegin = status.WindowBegin
			view.WindowEnd = status.WindowEnd
			view.Lookahead = status.Lookahead
			view.Lookbehind = status.Lookbehind
			view.Stalls = status.Stalls
			view.StallMS = status.StallTime.Milliseconds()
			view.FirstByteMS = max(status.TimeToFirstByte.Milliseconds(), -1)
			view.WastedBytes = status.WastedBytes
			view.DuplicateBytes = status.DuplicateBytes
		}
		if why, ok := content.explanation(); ok {
			view.WaitedMS = max(why.Waited.Milliseconds(), -1)
			view.Reason = why.Reason.String()
			view.Explanation = why.String()
		}
		views = append(views, view)
	}
	slices.SortFunc(views, func(a, b streamView) int { return cmp.Compare(a.ID, b.ID) })
	return views
}
