package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/batonhost/baton-host/host/internal/files"
)

// directory is a store in a directory that hosts share, over NFS for example. Objects are
// written beside their place and moved or linked there: the file system need not have locks.
type directory struct{ path string }

// unfinished begins the names of files that are being written; no object has such a name.
const unfinished = ".new-"

// leftFor is how old an unfinished file is that no host writes any more.
const leftFor = 24 * time.Hour

func (d *directory) String() string          { return d.path }
func (d *directory) Path(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

func (d *directory) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.failed("read", name, err)
	}
	file, err := os.Open(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.exists(); err != nil {
			return nil, err
		}
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, d.failed("read", name, err)
	}
	return file, nil
}

// exists returns why the directory itself is not there. It is never made: where it is not
// mounted, it would be another one on each host.
func (d *directory) exists() error {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Text: fmt.Sprintf("the directory %s of the shared state does not exist: mount it, or make it", d.path), IsFinal: true, Cause: err}
	case err == nil && !info.IsDir():
		return &Error{Text: fmt.Sprintf("%s, where the shared state is to be, is not a directory: name another place in \"state\"", d.path), IsFinal: true, Cause: syscall.ENOTDIR}
	case err != nil:
		return d.failed("read", "", err)
	}
	return nil
}

func (d *directory) Put(ctx context.Context, name string, content io.ReadSeeker, _ int64, _ string) error {
	return d.write(ctx, name, content, os.Rename)
}

func (d *directory) Create(ctx context.Context, name string, content []byte) error {
	// A link fails where the name is taken, on every client of a shared file system.
	err := d.write(ctx, name, strings.NewReader(string(content)), os.Link)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fs.ErrExist
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EMLINK):
		return &Error{Text: fmt.Sprintf("the file system of %s has no hard links, by which hosts find out who is first: put the shared state on another file system, or into a bucket", d.path), IsFinal: true, Cause: err}
	}
	return err
}

// write writes an object beside its place, and puts it there.
func (d *directory) write(ctx context.Context, name string, content io.Reader, put func(from, to string) error) (err error) {
	if err := d.exists(); err != nil {
		return err
	}
	to := d.Path(name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return d.failed("write", name, err)
	}
	from := filepath.Join(filepath.Dir(to), unfinished+rand.Text())
	file, err := os.OpenFile(from, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return d.failed("write", name, err)
	}
	defer func() { _ = os.Remove(from) }() // Moved, it is not there any more.
	if _, err = io.Copy(file, content); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close(), ctx.Err()); err == nil {
		err = put(from, to)
	}
	if err != nil {
		return d.failed("write", name, err)
	}
	_ = files.Flush(filepath.Dir(to)) // Not every file system can flush a directory.
	return nil
}

func (d *directory) List(ctx context.Context, dir, after string) ([]Object, error) {
	if err := errors.Join(d.exists(), ctx.Err()); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(d.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, d.failed("list", dir, err)
	}
	var found []Object
	for _, entry := range entries {
		name := dir + entry.Name()
		left := strings.HasPrefix(entry.Name(), unfinished)
		if !left && name <= after || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, d.failed("list", dir, err)
		}
		if left {
			d.sweep(name, info)
			continue
		}
		found = append(found, Object{Name: name, Modified: info.ModTime()})
	}
	slices.SortFunc(found, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// sweep removes what a host that was killed was writing.
func (d *directory) sweep(name string, info fs.FileInfo) {
	if age := time.Since(info.ModTime()); age > leftFor {
		_ = os.Remove(d.Path(name))
	}
}

func (d *directory) Remove(_ context.Context, name string) error {
	if err := os.Remove(d.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.failed("remove", name, err)
	}
	return nil
}

// failed says why something cannot be done with an object, and what helps.
func (d *directory) failed(doing, name string, err error) error {
	cause := err
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		cause = failed.Err
	}
	if failed, ok := errors.AsType[*os.LinkError](err); ok {
		cause = failed.Err
	}
	said := fmt.Sprintf("the shared state %s cannot be %s: %s", d.Path(name), map[string]string{"read": "read", "write": "written", "list": "listed", "remove": "removed"}[doing], cause)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &Error{Text: said + "; let the user of this host read and write there", IsFinal: true, Cause: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &Error{Text: said + "; make room there", Cause: err}
	}
	return &Error{Text: said, Cause: err}
}
