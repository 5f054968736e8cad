package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"elementum.example/torrent"
)

const (
	// An answer has so many files at most.
	maxFilesPage = 1000
	maxFind      = 200
	// Lists of files that nobody asks for are dropped after this. Beside the one that was asked for last so many files are kept at most.
	fileListIdle = time.Minute
	maxListed    = 200_000
)

// A filesPage is a part of a torrent's files.
type filesPage struct {
	Files []fileView `json:"files"`
	// Of the files that fit, all together.
	Total  int `json:"total"`
	Offset int `json:"offset"`
	// The largest file that plays, of the whole torrent.
	Best *fileView `json:"best"`
}

// A fileQuery is which of a torrent's files are asked for.
type fileQuery struct {
	offset, limit int
	kind          mediaKind
	// In lower case.
	find string
	pads bool
}

func parseFileQuery(values url.Values) (fileQuery, error) {
	query := fileQuery{limit: maxFilesPage, pads: true}
	number := func(name string, into *int, least, most int) error {
		text := values.Get(name)
		if text == "" {
			return nil
		}
		value, err := strconv.Atoi(text)
		if err != nil || value < least || value > most {
			return badRequest("invalid_argument", fmt.Sprintf("%s: %d to %d is wanted", name, least, most))
		}
		*into = value
		return nil
	}
	if err := number("offset", &query.offset, 0, 1<<31-1); err != nil {
		return query, err
	}
	if err := number("limit", &query.limit, 1, maxFilesPage); err != nil {
		return query, err
	}
	switch query.kind = mediaKind(values.Get("kind")); query.kind {
	case "", kindVideo, kindAudio, kindSubtitle, kindOther:
	default:
		return query, badRequest("invalid_argument", "kind: video, audio, subtitle or other is wanted")
	}
	if query.find = strings.ToLower(values.Get("find")); len(query.find) > maxFind {
		return query, badRequest("invalid_argument", fmt.Sprintf("find: %d bytes at most", maxFind))
	}
	switch values.Get("pads") {
	case "", "true", "1":
	case "false", "0":
		query.pads = false
	default:
		return query, badRequest("invalid_argument", "pads: true or false is wanted")
	}
	return query, nil
}

func (q *fileQuery) fits(file *torrent.File) bool {
	if !q.pads && file.Flags&torrent.FilePad != 0 {
		return false
	}
	if q.kind != "" && mediaOf(file.Path).kind != q.kind {
		return false
	}
	return q.find == "" || strings.Contains(strings.ToLower(shown(file.Path)), q.find)
}

// page takes the part that is asked for out of all. The numbers of the files in it, and how many fit.
func (q *fileQuery) page(files []torrent.File) (numbers []int, total int) {
	for i := range files {
		if !q.fits(&files[i]) {
			continue
		}
		if total >= q.offset && len(numbers) < q.limit {
			numbers = append(numbers, i)
		}
		total++
	}
	return numbers, total
}

func (s *service) getFiles(w http.ResponseWriter, r *http.Request) {
	s.withTorrent(w, r, func(t *torrent.Torrent) (any, error) {
		query, err := parseFileQuery(r.URL.Query())
		if err != nil {
			return nil, err
		}
		list, err := s.fileLists.of(t)
		if err != nil {
			return nil, err
		}
		state, err := fileStateOf(t)
		if err != nil {
			return nil, err
		}
		numbers, total := query.page(list.files)
		page := filesPage{Files: make([]fileView, len(numbers)), Total: total, Offset: query.offset}
		for i, number := range numbers {
			page.Files[i] = state.view(&list.files[number])
		}
		if list.best >= 0 {
			best := state.view(&list.files[list.best])
			page.Best = &best
		}
		return page, nil
	})
}

// A fileState is what changes of a torrent's files.
type fileState struct {
	hashes     torrent.InfoHashes
	progress   []uint64
	priorities []torrent.Priority
}

func fileStateOf(t *torrent.Torrent) (state fileState, err error) {
	info, err := t.Info()
	if err != nil {
		return state, err
	}
	state.hashes = info.InfoHashes
	if state.progress, err = t.FileProgress(); err != nil {
		return state, err
	}
	state.priorities, err = t.FilePriorities()
	return state, err
}

func (s *fileState) view(file *torrent.File) fileView {
	kind := mediaOf(file.Path)
	view := fileView{
		File:        int(file.Index),
		Path:        file.Path,
		Size:        file.Length,
		Offset:      file.Offset,
		Kind:        string(kind.kind),
		ContentType: kind.contentType,
		Playable:    isPlayable(*file),
		Pad:         file.Flags&torrent.FilePad != 0,
		FirstPiece:  int(file.FirstPiece),
		EndPiece:    int(file.EndPiece),
		Stream:      (&url.URL{Path: streamPath(s.hashes, *file)}).String(),
	}
	if i := int(file.Index); i < len(s.progress) && i < len(s.priorities) {
		view.Done, view.Priority = s.progress[i], uint8(s.priorities[i])
	}
	return view
}

// A fileList is what never changes of a torrent's files.
type fileList struct {
	index torrent.StorageIndex
	// How many there are, before they are here, too.
	count int

	load  sync.Once
	err   error
	files []torrent.File
	// The largest that plays, -1: none does.
	best int
}

// fileLists keep lists that were asked for lately: to make that of a torrent of 400,000 files takes a while and much memory, and the page
// and players ask for it again and again. Of large ones there are few.
type fileLists struct {
	mu sync.Mutex
	// The one that was asked for last is the last.
	lists []*fileList
	drop  *time.Timer
}

// of is the torrent's list.
func (l *fileLists) of(t *torrent.Torrent) (*fileList, error) {
	info, err := t.Info()
	if err != nil {
		return nil, err
	}
	list := l.take(t.StorageIndex(), info.NumFiles)
	// Outside the lock: others need not wait for a large one.
	list.load.Do(func() {
		list.files, list.err = t.Files()
		list.best = -1
		for i := range list.files {
			if isPlayable(list.files[i]) && (list.best < 0 || list.files[i].Length > list.files[list.best].Length) {
				list.best = i
			}
		}
	})
	if list.err != nil {
		l.mu.Lock()
		l.lists = slices.DeleteFunc(l.lists, func(other *fileList) bool { return other == list })
		l.mu.Unlock()
		return nil, list.err
	}
	return list, nil
}

// take finds a list or makes room for it, and puts off the end of all.
func (l *fileLists) take(index torrent.StorageIndex, count int) *fileList {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := &fileList{index: index, count: count}
	if at := slices.IndexFunc(l.lists, func(other *fileList) bool { return other.index == index }); at >= 0 {
		list = l.lists[at]
		l.lists = slices.Delete(l.lists, at, at+1)
	}
	l.lists = append(l.lists, list)
	files := 0
	for at := len(l.lists) - 1; at >= 0; at-- {
		if files += l.lists[at].count; files > maxListed && at < len(l.lists)-1 {
			l.lists = slices.Delete(l.lists, 0, at+1)
			break
		}
	}
	if l.drop == nil {
		l.drop = time.AfterFunc(fileListIdle, l.forget)
	} else {
		l.drop.Reset(fileListIdle)
	}
	return list
}

func (l *fileLists) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists = nil
	if l.drop != nil {
		l.drop.Stop()
	}
}
