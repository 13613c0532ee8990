package review

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/files"
)

// A record is a line of JSON, which has a version and says how many keys follow of which
// plugin; then the digests of the keys, each plugin's sorted, with nothing between them; and
// at last the SHA-256 of all that. It is read and written in one pass: the keys may be
// millions.

// recordVersion is the form of the records. A newer one is not read.
const recordVersion = 1

// longestHeader is how long the line of JSON may be.
const longestHeader = 64 << 20

// section is how many keys of a plugin follow in a record.
type section struct {
	Plugin string `json:"plugin"`
	Keys   int    `json:"keys"`
}

// damagedError is a record that cannot be relied on.
type damagedError struct {
	path string
	why  string
}

func (e *damagedError) Error() string {
	if strings.HasSuffix(e.path, approvedRecord) {
		return fmt.Sprintf("%s is damaged (%s), so it approves nothing: approve it once more", e.path, e.why)
	}
	return fmt.Sprintf("%s is damaged (%s): remove it; the next sync that is refused is kept again", e.path, e.why)
}

// IsDamaged reports whether an error is that of a record that cannot be relied on.
func IsDamaged(err error) bool {
	_, is := errors.AsType[*damagedError](err)
	return is
}

// recordFile is a file that is written.
type recordFile interface {
	io.Writer
	Sync() error
	Close() error
}

// createRecord makes a file for its owner alone, which is not there yet.
func createRecord(path string) (recordFile, error) {
	// What a killed run left, or a link that leads elsewhere, is not written to.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// unfinished ends the name of a record until all of it is on the disk.
const unfinished = ".new"

// writeRecord replaces a record whole or not at all. fill writes the keys.
func writeRecord(path string, header any, create func(path string) (recordFile, error), fill func(io.Writer) error) (err error) {
	line, err := json.Marshal(header)
	if err != nil {
		return err
	}
	file, err := create(path + unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path + unfinished)
		}
	}()
	sum := sha256.New()
	buffered := bufio.NewWriterSize(file, 1<<16)
	into := io.MultiWriter(buffered, sum)
	_, err = into.Write(append(line, '\n'))
	if err == nil {
		err = fill(into)
	}
	if err == nil {
		_, err = buffered.Write(sum.Sum(nil))
	}
	if err = errors.Join(err, buffered.Flush()); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+unfinished, path); err != nil {
		return err
	}
	// The directory has the name. Not every file system can flush one.
	_ = files.Flush(filepath.Dir(path))
	return nil
}

func writeDigests(to io.Writer, digests []digest) error {
	for _, one := range digests {
		if _, err := to.Write(one[:]); err != nil {
			return err
		}
	}
	return nil
}

// record is a record that is read. Close it.
type record struct {
	path string
	file *os.File
	from *bufio.Reader
	sum  hash.Hash
}

// openRecord opens a record and reads its header.
func openRecord(path string, header any) (_ *record, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	r := &record{path: path, file: file, sum: sha256.New()}
	r.from = bufio.NewReaderSize(io.LimitReader(file, longestHeader), 1<<16)
	line, err := r.from.ReadBytes('\n')
	if err != nil {
		return nil, r.damaged("it has no header")
	}
	var versioned struct {
		Version int       `json:"version"`
		Keys    []section `json:"keys"`
	}
	if err := json.Unmarshal(line, &versioned); err != nil {
		return nil, r.damaged("its header cannot be read")
	}
	if versioned.Version > recordVersion {
		return nil, &files.NewerError{Path: path, Version: versioned.Version, Known: recordVersion, Without: "nothing of it can be reviewed or approved"}
	}
	if err := json.Unmarshal(line, header); err != nil || versioned.Version < 1 {
		return nil, r.damaged("its header cannot be read")
	}
	size := int64(len(line)) + sha256.Size
	for _, one := range versioned.Keys {
		if one.Keys < 0 {
			return nil, r.damaged("its header cannot be read")
		}
		size += int64(one.Keys) * int64(len(digest{}))
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != size {
		return nil, r.damaged(fmt.Sprintf("it has %d bytes, and says that it has %d", info.Size(), size))
	}
	if _, err := file.Seek(int64(len(line)), io.SeekStart); err != nil {
		return nil, err
	}
	r.from.Reset(file)
	r.sum.Write(line)
	return r, nil
}

func (r *record) damaged(why string) error { return &damagedError{r.path, why} }

func (r *record) close() { _ = r.file.Close() }

// next reads the next key.
func (r *record) next() (digest, error) {
	var one digest
	if _, err := io.ReadFull(r.from, one[:]); err != nil {
		return digest{}, r.damaged("it is cut short")
	}
	r.sum.Write(one[:])
	return one, nil
}

// each reads the keys of a section, which must be the next one.
func (r *record) each(of section, each func(digest) error) error {
	var last digest
	for i := range of.Keys {
		one, err := r.next()
		if err != nil {
			return err
		}
		if i > 0 && one.compare(last) < 0 {
			return r.damaged("its keys are not in order")
		}
		last = one
		if err := each(one); err != nil {
			return err
		}
	}
	return nil
}

// end checks the sum of all that was read, which must be all.
func (r *record) end() error {
	var sum [sha256.Size]byte
	if _, err := io.ReadFull(r.from, sum[:]); err != nil || !bytes.Equal(sum[:], r.sum.Sum(nil)) {
		return r.damaged("its sum is not that of its content")
	}
	return nil
}

func sortDigests(digests []digest) []digest {
	slices.SortFunc(digests, digest.compare)
	return slices.Compact(digests)
}
