package torrent

import (
	"time"

	"elementum.example/torrent/internal/capi"
)

// TorrentStatus is a torrent at one moment.
type TorrentStatus struct {
	StorageIndex StorageIndex
	InfoHashes   InfoHashes
	State        State
	Flags        TorrentFlags
	Storage      StorageKind
	// What stopped it, 0 where nothing did; Torrent.Err tells more.
	ErrCode Code
	// Of what is wanted, 0 to 1. In memory storage what is wanted moves with the readers, and this with it.
	Progress float64
	// Paused by itself or with its session.
	Paused      bool
	HasMetadata bool
	// Everything is there; all that is wanted is there.
	IsSeeding, IsFinished                 bool
	AnnouncingToTrackers, AnnouncingToDHT bool
	// A peer has come to us by itself since the torrent was added: the port is reachable. It may be gone again.
	HasIncoming bool
	Readers     int
	// Bytes of all files; of verified pieces that are there now; of what is wanted, and of that what is there.
	Total, Done, Wanted, WantedDone uint64
	// Bytes since it was added to this session, protocol and payload.
	Download, Upload uint64
	// Bytes of pieces alone; over all sessions that are known of, and this version keeps nothing of a torrent from one session to the next.
	PayloadDownload, PayloadUpload uint64
	AllTimeDownload, AllTimeUpload uint64
	// Bytes of pieces that came in wrong; that came in although they were there already.
	FailedBytes, RedundantBytes uint64
	// Bytes a second, as an average that forgets within seconds: a change, a new limit too, shows after one to three.
	DownloadRate, UploadRate               uint32
	PayloadDownloadRate, PayloadUploadRate uint32
	// Peers whose handshake is done; those of them that have everything; peers and dials under way; peers that we upload to.
	Peers, Seeds, Connections, Uploads int
	// Peers that are known of, seeds among them, and those that may be dialled.
	ListPeers, ListSeeds, ConnectCandidates int
	// Seeds and others as the trackers count them, -1: unknown.
	Complete, Incomplete int
	// Pieces that are there, and that there are.
	NumPieces, PiecesTotal int
	// Bytes.
	PieceLength, BlockSize uint32
	// The torrent's own limits: bytes a second, 0 for none; peers, 0 for as the settings say.
	DownloadLimit, UploadLimit uint32
	MaxConnections, MaxUploads uint32
	// Until trackers are told again, negative where that is not planned.
	NextAnnounce time.Duration
	// Zero where it was never.
	AddedTime, CompletedTime time.Time
	// Not paused; with all that is wanted; with everything.
	ActiveDuration, FinishedDuration, SeedingDuration time.Duration
}

// Status gives the torrent's state, progress, rates and counts, in one call.
func (t *Torrent) Status() (TorrentStatus, error) {
	s, index := t.raw()
	var raw capi.TorrentStatusInfo
	if err := s.TorrentStatus(index, &raw); err != nil {
		return TorrentStatus{}, wrap("Torrent.Status", err)
	}
	return torrentStatus(&raw), nil
}

func torrentStatus(raw *capi.TorrentStatusInfo) TorrentStatus {
	return TorrentStatus{
		StorageIndex:         StorageIndex(raw.Torrent),
		InfoHashes:           infoHashes(&raw.Info_hashes),
		State:                State(raw.State),
		Flags:                TorrentFlags(raw.Flags),
		Storage:              StorageKind(raw.Storage),
		ErrCode:              Code(raw.Error),
		Progress:             float64(raw.Progress_ppm) / 1e6,
		Paused:               raw.Paused != 0,
		HasMetadata:          raw.Has_metadata != 0,
		IsSeeding:            raw.Is_seeding != 0,
		IsFinished:           raw.Is_finished != 0,
		AnnouncingToTrackers: raw.Announcing_to_trackers != 0,
		AnnouncingToDHT:      raw.Announcing_to_dht != 0,
		HasIncoming:          raw.Has_incoming != 0,
		Readers:              int(raw.Num_readers),
		Total:                raw.Total,
		Done:                 raw.Total_done,
		Wanted:               raw.Total_wanted,
		WantedDone:           raw.Total_wanted_done,
		Download:             raw.Total_download,
		Upload:               raw.Total_upload,
		PayloadDownload:      raw.Total_payload_download,
		PayloadUpload:        raw.Total_payload_upload,
		AllTimeDownload:      raw.All_time_download,
		AllTimeUpload:        raw.All_time_upload,
		FailedBytes:          raw.Total_failed_bytes,
		RedundantBytes:       raw.Total_redundant_bytes,
		DownloadRate:         raw.Download_rate,
		UploadRate:           raw.Upload_rate,
		PayloadDownloadRate:  raw.Download_payload_rate,
		PayloadUploadRate:    raw.Upload_payload_rate,
		Peers:                int(raw.Num_peers),
		Seeds:                int(raw.Num_seeds),
		Connections:          int(raw.Num_connections),
		Uploads:              int(raw.Num_uploads),
		ListPeers:            int(raw.List_peers),
		ListSeeds:            int(raw.List_seeds),
		ConnectCandidates:    int(raw.Connect_candidates),
		Complete:             int(raw.Num_complete),
		Incomplete:           int(raw.Num_incomplete),
		NumPieces:            int(raw.Num_pieces),
		PiecesTotal:          int(raw.Pieces_total),
		PieceLength:          raw.Piece_length,
		BlockSize:            raw.Block_size,
		DownloadLimit:        raw.Download_limit,
		UploadLimit:          raw.Upload_limit,
		MaxConnections:       raw.Max_connections,
		MaxUploads:           raw.Max_uploads,
		NextAnnounce:         milliseconds(raw.Next_announce_ms),
		AddedTime:            unixTime(raw.Added_time),
		CompletedTime:        unixTime(raw.Completed_time),
		ActiveDuration:       seconds(raw.Active_duration),
		FinishedDuration:     seconds(raw.Finished_duration),
		SeedingDuration:      seconds(raw.Seeding_duration),
	}
}

func unixTime(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

func seconds(n uint64) time.Duration { return time.Duration(n) * time.Second }
