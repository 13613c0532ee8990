package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host/internal/files"
)

// algorithm begins a digest.
const algorithm = "sha256:"

// digestOf returns the digest of a hash.
func digestOf(sum hash.Hash) string { return algorithm + hex.EncodeToString(sum.Sum(nil)) }

// digestOfBytes returns the digest of a small content.
func digestOfBytes(content []byte) string {
	sum := sha256.Sum256(content)
	return algorithm + hex.EncodeToString(sum[:])
}

// parcel is a file that may have the binary in it: an archive, or a layer of an image.
type parcel struct {
	// digest is what it must be. Empty: an archive on this machine, which is measured.
	digest string
	// size is how many bytes it has, 0 where that is not known.
	size int64
	// web and address are where it is; a nil web: it is the file path.
	web     *web
	address *url.URL
	from    accept
	path    string
	// isLayer reports whether it is a layer of an image.
	isLayer bool
}

// open begins the transfer.
func (p *parcel) open(ctx context.Context) (body io.ReadCloser, total int64, err error) {
	if p.web == nil {
		return openArchive(p.path)
	}
	response, err := p.web.get(ctx, p.address, "", p.from)
	if err != nil {
		return nil, 0, err
	}
	return response.Body, max(p.size, response.ContentLength), p.check(response)
}

// check reports an answer that cannot be the parcel, before it is transferred.
func (p *parcel) check(response *http.Response) (err error) {
	switch length := response.ContentLength; {
	case isPage(response.Header.Get("Content-Type"), nil):
		err = fmt.Errorf("%s answers with a web page and not with a file: a proxy that wants a login stands before it, or the file has gone", shown(p.address))
	case length > p.web.limits.archive:
		err = fmt.Errorf("%s has %s, and an archive of a connector has at most %s", shown(p.address), size(length), size(p.web.limits.archive))
	case p.size > 0 && length >= 0 && length != p.size:
		err = fmt.Errorf("%s has %d bytes, and %d were announced: it was exchanged, or cut by a proxy", shown(p.address), length, p.size)
	}
	if err != nil {
		_ = response.Body.Close()
	}
	return err
}

// openArchive opens a file that a person has downloaded.
func openArchive(path string) (io.ReadCloser, int64, error) {
	// Before opening: to open a named pipe can wait for ever.
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, 0, files.ErrNoFile
	case err != nil:
		return nil, 0, err
	case !info.Mode().IsRegular():
		return nil, 0, errors.New("it is not a file; name the archive that was downloaded")
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrPermission) {
		err = files.ErrNotAllowed
	}
	return file, info.Size(), err
}

// copyTo transfers the parcel into a directory, and returns the file, at its beginning, with
// the digest of what came. If that is not what it must be, there is no file.
func (p *parcel) copyTo(ctx context.Context, dir string, limits limits, report Progress) (_ *os.File, digest string, err error) {
	body, total, err := p.open(ctx)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = body.Close() }()
	file, err := os.OpenFile(filepath.Join(dir, "archive"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	sum := sha256.New()
	limit := limits.archive
	if p.size > 0 {
		limit = min(limit, p.size)
	}
	written, err := io.Copy(io.MultiWriter(file, sum, &counter{report: report, step: Downloading, total: total}), &patient{ctx, io.LimitReader(body, limit+1)})
	digest = digestOf(sum)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		err = cutOff(err, written, total)
	case written > limit:
		err = fmt.Errorf("it has more than %s, which is more than %s", size(limit), p.expected())
	case p.digest != "" && digest != p.digest:
		err = fmt.Errorf("it is not what was published: its digest is %s and not %s; it was exchanged, or damaged on the way", digest, p.digest)
	default:
		_, err = file.Seek(0, io.SeekStart)
	}
	return file, digest, err
}

// cutOff is the error of a transfer that ended too early. Those of the disk, and of one that is
// too slow, stay as they are.
func cutOff(err error, written, total int64) error {
	_, isDisk := errors.AsType[*fs.PathError](err)
	_, isSlow := errors.AsType[slowError](err)
	switch {
	case isDisk, isSlow, errors.Is(err, errEndless):
		return err
	case total > 0:
		return fmt.Errorf("the transfer was cut off after %d of %d bytes: %w; try again", written, total, err)
	}
	return fmt.Errorf("the transfer was cut off after %d bytes: %w; try again", written, err)
}

// expected says what the limit of the size is.
func (p *parcel) expected() string {
	if p.size > 0 {
		return "was announced"
	}
	return "an archive of a connector has"
}

// patient ends a copy from a file with its context.
type patient struct {
	ctx  context.Context
	from io.Reader
}

// Read reads if the context is still there.
func (p *patient) Read(into []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.from.Read(into)
}

// counter reports what was transferred, or unpacked.
type counter struct {
	report      Progress
	step        Step
	done, total int64
}

// Write counts.
func (c *counter) Write(content []byte) (int, error) {
	c.done += int64(len(content))
	if c.report != nil {
		c.report(Event{Step: c.step, Done: c.done, Total: max(0, c.total)})
	}
	return len(content), nil
}
