package support

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/status/history"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// stateDir is what a state directory has in it.
type stateDir struct {
	mode    os.FileMode
	isMine  bool
	err     error // it cannot be read
	files   []baselineFile
	history map[string][]status.Sync
	// historyErr is why the history cannot be used.
	historyErr error
	refused    int
	approved   int
	others     int
}

// baselineFile is a sync file of an upload in a state directory.
type baselineFile struct {
	upload   string
	bytes    int64
	modified time.Time
	// record is what is known of its record, in words.
	record string
	known  baseline.Sync
}

// readStateDir reads a state directory. It changes nothing there, and takes no lock: a host may
// run on it.
func readStateDir(dir string) stateDir {
	var read stateDir
	info, err := os.Stat(dir)
	if err != nil {
		return stateDir{err: err}
	}
	read.mode = info.Mode()
	_, read.isMine = files.Owner(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return stateDir{err: err}
	}
	for _, entry := range entries {
		name := entry.Name()
		upload, isFile := strings.CutSuffix(name, ".c1z")
		switch {
		case isFile:
			read.files = append(read.files, readBaseline(upload, filepath.Join(dir, name)))
		case strings.HasSuffix(name, ".c1z.approved"):
			read.approved++
		case strings.Contains(name, ".c1z.refused"):
			read.refused++
		case strings.HasSuffix(name, ".c1z.json"), slices.Contains([]string{"history.json", ".lock", "control.sock", "control.token"}, name):
		default:
			read.others++
		}
	}
	read.history, read.historyErr = history.In(dir).Read()
	return read
}

func readBaseline(upload, path string) baselineFile {
	read := baselineFile{upload: upload}
	if info, err := os.Stat(path); err == nil {
		read.bytes, read.modified = info.Size(), info.ModTime()
	}
	path, err := syncfile.BehindLinks(path)
	if err != nil {
		read.record = "the link leads nowhere"
		return read
	}
	store := baseline.At(path)
	sum, known := store.Recorded()
	_, missing := os.Stat(path + ".json")
	switch newer := store.Check(); {
	case sum == "":
		read.record = "the file cannot be read"
	case newer != nil:
		read.record = "of a newer host"
	case errors.Is(missing, os.ErrNotExist):
		read.record = "none"
	case known.StartedAt.IsZero():
		read.record = "damaged, or of another file"
	default:
		read.record, read.known = "good", known
	}
	return read
}

// meet gives aliases to the names of a state directory.
func (s stateDir) meet(c *censor) {
	for _, file := range s.files {
		c.uploads.alias(file.upload)
		for _, plugin := range sortedKeys(file.known.Plugins) {
			c.plugins.alias(plugin)
		}
		for _, plugin := range file.known.Missing {
			c.plugins.alias(plugin)
		}
	}
	for _, upload := range sortedKeys(s.history) {
		c.uploads.alias(upload)
		for _, one := range s.history[upload] {
			meetSync(c, one)
		}
	}
}

// writeStateDir writes what a state directory has; its history where no host has reported that.
func (w *writer) writeStateDir(s stateDir, withHistory bool) {
	w.title("State directory")
	if s.err != nil {
		w.Line("It cannot be read: %s", w.text(cause(s.err)))
		return
	}
	w.Line("mode %v, of this user: %v, refused syncs: %d files, approvals: %d, other files: %d", s.mode, s.isMine, s.refused, s.approved, s.others)
	if s.historyErr != nil {
		w.Line("The history cannot be used: %s", w.text(s.historyErr.Error()))
	}
	var rows, parts [][]string
	for _, file := range s.files {
		alias := w.uploads.alias(file.upload)
		rows = append(rows, []string{alias, strconv.FormatInt(file.bytes, 10), moment(file.modified), file.record, moment(file.known.StartedAt), moment(file.known.UploadedAt)})
		for _, name := range sortedKeys(file.known.Plugins) {
			part := file.known.Plugins[name]
			parts = append(parts, []string{
				alias, w.plugins.alias(name), moment(part.AsOf), strconv.Itoa(part.Accounts), strconv.Itoa(part.Skipped),
				w.one(string(baseline.EvidenceOfAll(part.Evidence).Grade)), strconv.Itoa(len(part.ResourceTypes)),
			})
		}
	}
	w.Table([]string{"BASELINE OF", "BYTES", "MODIFIED", "RECORD", "SYNC BEGAN", "UPLOADED"}, rows)
	w.Table([]string{"UPLOAD", "PLUGIN", "LAST READ", "ACCOUNTS", "SKIPPED", "EVIDENCE", "RESOURCE TYPES"}, parts)
	if withHistory {
		rows = nil
		for _, upload := range sortedKeys(s.history) {
			rows = append(rows, w.history(w.uploads.alias(upload), s.history[upload])...)
		}
		w.Table(historyHead, rows)
	}
}

// cause returns an error without the path that it names.
func cause(err error) string {
	if named, ok := errors.AsType[*os.PathError](err); ok {
		return named.Err.Error()
	}
	return err.Error()
}

// meetSync gives aliases to the names of a sync.
func meetSync(c *censor, one status.Sync) {
	for _, names := range [][]string{sortedKeys(one.ByPlugin), sortedKeys(one.FailedPlugins), one.Missing} {
		for _, name := range names {
			c.plugins.alias(name)
		}
	}
}
