//go:build !cgo

package capi

// Without cgo there is no library: nothing can be opened, and so nothing else is called.

// Available tells whether the library is linked.
const Available = false

func unsupported() *Error {
	return &Error{Status: ErrUnsupported, Message: "the program was built without cgo"}
}

// Settings, Session and Reader are never made.
type (
	Settings struct{}
	Session  struct{}
	Reader   struct{}
)

func Version() string                                                        { return "" }
func ABIVersion() uint32                                                     { return 0 }
func StatusName(status int32) string                                         { return "" }
func AlertTypeName(kind uint32) string                                       { return "" }
func AlertMessages(records, scratch []byte) (lines string, larger []byte)    { return "", scratch }
func AlertMessage(record Record) string                                      { return "" }
func ExplanationMessage(explanation *ReaderExplanation) string               { return "" }
func ParseInfoHashes(text string, out *InfoHashes) *Error                    { return unsupported() }
func SettingsCount() int                                                     { return 0 }
func DescribeSetting(index int, out *SettingInfo) *Error                     { return unsupported() }
func NewSettings() (*Settings, *Error)                                       { return nil, unsupported() }
func (*Settings) Free()                                                      {}
func (*Settings) SetInt(key string, value int64) *Error                      { return unsupported() }
func (*Settings) SetBool(key string, value bool) *Error                      { return unsupported() }
func (*Settings) SetString(key, value string) *Error                         { return unsupported() }
func (*Settings) Int(key string) (int64, *Error)                             { return 0, unsupported() }
func (*Settings) Bool(key string) (bool, *Error)                             { return false, unsupported() }
func (*Settings) String(key string) (string, *Error)                         { return "", unsupported() }
func OpenSession(settings *Settings, state []byte) (*Session, *Error)        { return nil, unsupported() }
func (*Session) Close(wait Wait) *Error                                      { return unsupported() }
func (*Session) ApplySettings(settings *Settings) *Error                     { return unsupported() }
func (*Session) Settings() (*Settings, *Error)                               { return nil, unsupported() }
func (*Session) SaveState() ([]byte, *Error)                                 { return nil, unsupported() }
func (*Session) Pause() *Error                                               { return unsupported() }
func (*Session) Resume() *Error                                              { return unsupported() }
func (*Session) IsPaused() (bool, *Error)                                    { return false, unsupported() }
func (*Session) AddTorrent(params *AddTorrentParams) (uint64, *Error)        { return 0, unsupported() }
func (*Session) RemoveTorrent(index uint64, flags uint32) *Error             { return unsupported() }
func (*Session) Torrents() ([]uint64, *Error)                                { return nil, unsupported() }
func (*Session) FindTorrent(hashes *InfoHashes) (uint64, *Error)             { return 0, unsupported() }
func (*Session) ListenPort() (uint16, *Error)                                { return 0, unsupported() }
func (*Session) AddDHTNode(host string, port int32) *Error                   { return unsupported() }
func (*Session) SetPortFilter(rules []PortRule) *Error                       { return unsupported() }
func (*Session) Stats(out *SessionStatsInfo) *Error                          { return unsupported() }
func (*Session) PopAlerts(buffer Buffer, out *AlertBatch) *Error             { return unsupported() }
func (*Session) AlertFD() (int, *Error)                                      { return 0, unsupported() }
func (*Session) SetAlertMask(mask uint64) *Error                             { return unsupported() }
func (*Session) SetMemoryLimit(bytes uint64) *Error                          { return unsupported() }
func (*Session) TorrentStatuses() ([]TorrentStatusInfo, *Error)              { return nil, unsupported() }
func (*Session) TorrentStatus(index uint64, out *TorrentStatusInfo) *Error   { return unsupported() }
func (*Session) TorrentInfo(index uint64, out *MetadataInfo) *Error          { return unsupported() }
func (*Session) TorrentName(index uint64) (string, *Error)                   { return "", unsupported() }
func (*Session) TorrentSavePath(index uint64) (string, *Error)               { return "", unsupported() }
func (*Session) TorrentMetainfo(index uint64) ([]byte, *Error)               { return nil, unsupported() }
func (*Session) TorrentError(index uint64) (stopped, err *Error)             { return nil, unsupported() }
func (*Session) WaitMetadata(uint64, Wait) *Error                            { return unsupported() }
func (*Session) TorrentHasMetadata(index uint64) (bool, *Error)              { return false, unsupported() }
func (*Session) PauseTorrent(index uint64) *Error                            { return unsupported() }
func (*Session) ResumeTorrent(index uint64) *Error                           { return unsupported() }
func (*Session) ForceRecheck(index uint64) *Error                            { return unsupported() }
func (*Session) ForceReannounce(index uint64) *Error                         { return unsupported() }
func (*Session) ForceDHTAnnounce(index uint64) *Error                        { return unsupported() }
func (*Session) SetFlags(index, flags uint64) *Error                         { return unsupported() }
func (*Session) UnsetFlags(index, flags uint64) *Error                       { return unsupported() }
func (*Session) SetLimits(index uint64, limits *TorrentLimits) *Error        { return unsupported() }
func (*Session) Files(index uint64) ([]byte, *Error)                         { return nil, unsupported() }
func (*Session) Peers(index uint64) ([]byte, *Error)                         { return nil, unsupported() }
func (*Session) Trackers(index uint64) ([]byte, *Error)                      { return nil, unsupported() }
func (*Session) WebSeeds(index uint64) ([]byte, *Error)                      { return nil, unsupported() }
func (*Session) DownloadQueue(index uint64) ([]byte, *Error)                 { return nil, unsupported() }
func (*Session) FileProgress(index uint64) ([]uint64, *Error)                { return nil, unsupported() }
func (*Session) PieceAvailability(index uint64) ([]uint32, *Error)           { return nil, unsupported() }
func (*Session) Pieces(index uint64) ([]byte, int, *Error)                   { return nil, 0, unsupported() }
func (*Session) PiecePriorities(index uint64) ([]uint8, *Error)              { return nil, unsupported() }
func (*Session) FilePriorities(index uint64) ([]uint8, *Error)               { return nil, unsupported() }
func (*Session) PrioritizePieces(index uint64, values []uint8) *Error        { return unsupported() }
func (*Session) PrioritizeFiles(index uint64, values []uint8) *Error         { return unsupported() }
func (*Session) SetPiecePriority(index uint64, piece, priority int32) *Error { return unsupported() }
func (*Session) SetFilePriority(index uint64, file, priority int32) *Error   { return unsupported() }
func (*Session) SetPieceDeadline(index uint64, piece int32, deadlineMS int64) *Error {
	return unsupported()
}
func (*Session) ResetPieceDeadline(index uint64, piece int32) *Error          { return unsupported() }
func (*Session) ClearPieceDeadlines(index uint64) *Error                      { return unsupported() }
func (*Session) ConnectPeer(index uint64, address string) *Error              { return unsupported() }
func (*Session) BanPeer(index uint64, address string) *Error                  { return unsupported() }
func (*Session) AddTracker(index uint64, url string, tier int32) *Error       { return unsupported() }
func (*Session) ReplaceTrackers(index uint64, trackers []TrackerEntry) *Error { return unsupported() }
func (*Session) StorageStats(index uint64, out *StorageStatsInfo) *Error      { return unsupported() }
func (*Session) SetLookbehind(index uint64, pieces []int32) *Error            { return unsupported() }
func (*Session) ClearLookbehind(index uint64) *Error                          { return unsupported() }
func (*Session) IsLookbehindAvailable(index uint64, piece int32) (bool, *Error) {
	return false, unsupported()
}
func (*Session) LookbehindStats(index uint64, out *LookbehindInfo) *Error { return unsupported() }
func (*Session) StorageRead(index uint64, piece int32, offset uint64, into []byte) (int, *Error) {
	return 0, unsupported()
}
func (*Session) OpenReader(index uint64, file int32, options *ReaderOptions) (*Reader, *Error) {
	return nil, unsupported()
}
func (*Reader) Close() bool                                        { return false }
func (*Reader) Read(into []byte) (int, *Error)                     { return 0, unsupported() }
func (*Reader) ReadAt(offset uint64, into []byte) (int, *Error)    { return 0, unsupported() }
func (*Reader) SeekTo(offset int64, whence int32) (uint64, *Error) { return 0, unsupported() }
func (*Reader) Size() (uint64, *Error)                             { return 0, unsupported() }
func (*Reader) ID() (uint64, *Error)                               { return 0, unsupported() }
func (*Reader) FD() (int, *Error)                                  { return 0, unsupported() }
func (*Reader) Prebuffer(head, tail uint64) *Error                 { return unsupported() }
func (*Reader) SetOptions(options *ReaderOptions) *Error           { return unsupported() }
func (*Reader) Status(out *ReaderStatusInfo) *Error                { return unsupported() }
func (*Reader) Explain(out *ReaderExplanation) *Error              { return unsupported() }
