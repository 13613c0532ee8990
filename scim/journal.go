package scim

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// journal keeps, in a file, which entries a listing has read, so that another
// process of the connector goes on as this one would have: without it a listing
// that is resumed has to be confirmed by another pass.
//
// The file is a sequence of batches. Each is the entries that it read and a
// commit: the page token that the next one begins at. What comes after the
// commit of the token that is handed in is of a process that died.
type journal struct {
	dir  string // "" keeps nothing
	kind string
}

// sighting is an entry that was read in a pass.
type sighting struct {
	id   string
	pass int
}

const (
	// maxJournals is how many listings of a kind are kept at a time; those that
	// are abandoned are the oldest.
	maxJournals = 4
	// finished ends the name of a journal whose listing has come to its end. It is
	// kept for a while, for the answer may not have reached the host.
	finished = ".done"
	// maxJournalText bounds an id or a page token in a journal.
	maxJournalText = 1 << 20
	// commitMark stands where an entry has its pass, which is never 0.
	commitMark = 0
)

func (j journal) path(run uint64) string {
	return filepath.Join(j.dir, j.kind+"-"+strconv.FormatUint(run, 16)+".journal")
}

// begin forgets listings that have ended or that are abandoned.
func (j journal) begin() {
	if j.dir == "" {
		return
	}
	ended, _ := filepath.Glob(filepath.Join(j.dir, j.kind+"-*.journal"+finished))
	for _, path := range ended {
		_ = os.Remove(path)
	}
	paths, _ := filepath.Glob(filepath.Join(j.dir, j.kind+"-*.journal"))
	if len(paths) < maxJournals {
		return
	}
	age := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(paths, func(a, b string) int { return int(min(1, max(-1, age(a)-age(b)))) })
	for _, path := range paths[:len(paths)-maxJournals+1] {
		_ = os.Remove(path)
	}
}

// commit adds a batch behind the first size bytes and returns the new size. If it
// cannot be written, the journal is removed and the size less than zero: the
// listing is none the worse unless the process dies.
func (j journal) commit(run uint64, size int64, read []sighting, token string) int64 {
	if j.dir == "" {
		return -1
	}
	var batch bytes.Buffer
	text := func(s string) {
		batch.Write(binary.AppendUvarint(nil, uint64(len(s))))
		batch.WriteString(s)
	}
	for _, one := range read {
		batch.WriteByte(byte(one.pass)) //nolint:gosec // There are few passes.
		text(one.id)
	}
	batch.WriteByte(commitMark)
	text(token)
	if err := writeBehind(j.path(run), size, batch.Bytes()); err != nil {
		j.remove(run)
		return -1
	}
	return size + int64(batch.Len())
}

func writeBehind(path string, size int64, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < size {
		err = errors.New("the journal is not the one that was written")
	}
	if err == nil {
		err = file.Truncate(size)
	}
	if err == nil {
		_, err = file.WriteAt(data, size)
	}
	return errors.Join(err, file.Close())
}

// finish notes that a listing has come to its end.
func (j journal) finish(run uint64) {
	if j.dir != "" {
		_ = os.Rename(j.path(run), j.path(run)+finished)
	}
}

// remove forgets a listing.
func (j journal) remove(run uint64) {
	if j.dir != "" {
		_ = os.Remove(j.path(run))
	}
}

// restore is the session that goes on at a page token, or nil if the journal does
// not have it.
func (j journal) restore(run uint64, token string) *session {
	if j.dir == "" || run == 0 {
		return nil
	}
	_ = os.Rename(j.path(run)+finished, j.path(run))
	s := &session{token: token, seen: newIDSet(), whole: true}
	logged, found := j.replay(run, token, func(one sighting) bool {
		s.seen.add(one.id, one.pass)
		return true
	})
	if !found {
		return nil
	}
	s.logged = logged
	return s
}

// replay hands out what was read before a page token, and returns how much of the journal
// that is. It is not found if the journal does not have it, or each returns false.
func (j journal) replay(run uint64, token string, each func(sighting) bool) (size int64, found bool) {
	if j.dir == "" {
		return 0, false
	}
	file, err := os.Open(j.path(run))
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.Close() }()
	reader := &countingReader{from: bufio.NewReader(file)}
	for {
		pass, err := reader.ReadByte()
		if err != nil {
			return 0, false
		}
		text, ok := reader.text()
		switch {
		case !ok:
			return 0, false
		case pass != commitMark:
			if !each(sighting{text, int(pass)}) {
				return 0, false
			}
		case text == token:
			return reader.read, true
		}
	}
}

// countingReader knows how much was read.
type countingReader struct {
	from *bufio.Reader
	read int64
}

// ReadByte reads one byte.
func (r *countingReader) ReadByte() (byte, error) {
	b, err := r.from.ReadByte()
	if err == nil {
		r.read++
	}
	return b, err
}

func (r *countingReader) text() (string, bool) {
	length, err := binary.ReadUvarint(r)
	if err != nil || length > maxJournalText {
		return "", false
	}
	var text strings.Builder
	n, err := io.CopyN(&text, r.from, int64(length))
	r.read += n
	return text.String(), err == nil
}
