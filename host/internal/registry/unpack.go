package registry

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// errNoBinary says that there is no file of the connector's name.
var errNoBinary = errors.New("it has no file of that name")

// Beginnings of files by which their form is known.
var (
	zipBegins  = []byte("PK")
	gzipBegins = []byte{0x1f, 0x8b}
	zstdBegins = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// unpacker takes one file out of an archive. Nothing else is written anywhere, so that what
// the archive says of links, devices, owners and paths has no effect; it is refused all the
// same, as no connector is released so.
type unpacker struct {
	// name is the file's.
	name string
	// isLayer reports whether the archive is a layer of an image, which has the file at its
	// root and may have links and all else beside it.
	isLayer bool
	limits  limits
	// to is where the file is written, which is done once.
	to     *os.File
	report Progress
	found  string // the name of the entry
	sum    string // the digest of the file
	// seen is the size of all entries.
	seen    int64
	entries int
}

// unpack writes the file and returns its digest.
func (u *unpacker) unpack(archive *os.File) (string, error) {
	begins := make([]byte, len(zstdBegins))
	n, err := archive.ReadAt(begins, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	begins = begins[:n]
	switch {
	case bytes.HasPrefix(begins, zipBegins) && !u.isLayer:
		err = u.fromZip(archive)
	case bytes.HasPrefix(begins, gzipBegins):
		var plain *gzip.Reader
		if plain, err = gzip.NewReader(bufio.NewReader(archive)); err == nil {
			err = u.fromTar(plain)
		}
	case bytes.HasPrefix(begins, zstdBegins) && u.isLayer:
		var plain *zstd.Decoder
		if plain, err = zstd.NewReader(archive, zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderConcurrency(1)); err == nil {
			err = u.fromTar(plain)
			plain.Close()
		}
	case u.isLayer:
		err = u.fromTar(archive)
	default:
		err = errors.New("it is neither a .tar.gz nor a .zip; name the archive of the release")
	}
	switch {
	case err != nil:
		return "", err
	case u.found == "":
		return "", errNoBinary
	}
	return u.sum, nil
}

// fromTar reads a tar archive to its end, as there may be a second binary.
func (u *unpacker) fromTar(plain io.Reader) error {
	reader := tar.NewReader(&bounded{plain, u.limits.unpacked, u.limits.unpacked})
	for {
		header, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return damaged(err)
		}
		if err := u.take(header.Name, header.FileInfo().Mode(), header.Typeflag == tar.TypeLink, header.Size, reader); err != nil {
			return err
		}
	}
}

// fromZip reads a zip archive.
func (u *unpacker) fromZip(archive *os.File) error {
	info, err := archive.Stat()
	if err != nil {
		return err
	}
	reader, err := zip.NewReader(archive, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return damaged(err)
	}
	for _, entry := range reader.File {
		if entry.UncompressedSize64 > math.MaxInt64 {
			return &tooLargeError{u.limits.unpacked}
		}
		if err := u.takeZip(entry); err != nil {
			return err
		}
	}
	return nil
}

// takeZip is take for an entry of a zip archive.
func (u *unpacker) takeZip(entry *zip.File) error {
	content, err := entry.Open()
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = content.Close() }()
	return u.take(entry.Name, entry.Mode(), false, int64(entry.UncompressedSize64), content) //nolint:gosec // It is no larger.
}

// take looks at an entry, and writes it if it is the binary.
func (u *unpacker) take(name string, mode fs.FileMode, isHardLink bool, bytes int64, content io.Reader) error {
	u.entries++
	isBinary := u.isBinary(name)
	switch {
	case u.entries > u.limits.entries:
		return fmt.Errorf("it has more than %d files, and an archive of a connector has a few", u.limits.entries)
	case leavesArchive(name), strings.HasPrefix(name, "/") && !u.isLayer:
		return fmt.Errorf("its entry %s leads out of it, as that of no connector does; it is not installed", quote(name))
	case (isHardLink || mode.Type()&^fs.ModeDir != 0) && (isBinary || !u.isLayer):
		return fmt.Errorf("its entry %s is %s and not a file, as that of no connector is; it is not installed", quote(name), kindOf(mode, isHardLink))
	case bytes < 0 || bytes > u.limits.unpacked-u.seen:
		return &tooLargeError{u.limits.unpacked}
	}
	u.seen += bytes
	switch {
	case mode.IsDir() || !isBinary:
		return nil
	case u.found != "":
		return fmt.Errorf("it has two files that are called %s, %s and %s, so which of them was meant is not known", u.name, quote(u.found), quote(name))
	case bytes > u.limits.binary:
		return fmt.Errorf("its file %s has %s, and a connector has at most %s", u.name, size(bytes), size(u.limits.binary))
	case bytes == 0:
		return fmt.Errorf("its file %s is empty", u.name)
	}
	u.found = name
	return u.write(content, bytes)
}

// isBinary reports whether an entry is called as the binary is: at the root of an image, or
// anywhere in an archive.
func (u *unpacker) isBinary(name string) bool {
	if u.isLayer {
		return path.Join("/", name) == "/"+u.name
	}
	return path.Base(path.Clean(name)) == u.name
}

// write writes the binary, and nothing that it is not announced to have.
func (u *unpacker) write(content io.Reader, bytes int64) error {
	sum := sha256.New()
	written, err := io.Copy(io.MultiWriter(u.to, sum, &counter{report: u.report, step: Unpacking, total: bytes}), io.LimitReader(content, bytes+1))
	switch {
	case err != nil:
		return damaged(err)
	case written != bytes:
		return damaged(io.ErrUnexpectedEOF)
	}
	u.sum = digestOf(sum)
	return nil
}

// damaged is an error of what reads an archive. Those of the disk, and of the limits, stay as
// they are.
func damaged(err error) error {
	_, isDisk := errors.AsType[*fs.PathError](err)
	_, isLimit := errors.AsType[*tooLargeError](err)
	if isDisk || isLimit {
		return err
	}
	return fmt.Errorf("it is damaged: %w", err)
}

// leavesArchive reports whether a name is a path out of the archive, on any system.
func leavesArchive(name string) bool {
	if strings.ContainsAny(name, "\\\x00") || len(name) > 1 && name[1] == ':' {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

func kindOf(mode fs.FileMode, isHardLink bool) string {
	switch {
	case isHardLink, mode&fs.ModeSymlink != 0:
		return "a link"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "something else"
}

// quote returns a name of an archive for people.
func quote(name string) string { return `"` + errtext.Printable(errtext.Shorten(name, 200), "") + `"` }

// tooLargeError says that a limit of what is decompressed was reached.
type tooLargeError struct{ limit int64 }

// Error returns the sentence.
func (e *tooLargeError) Error() string {
	return fmt.Sprintf("it unpacks to more than %s, and an archive of a connector does not; it is not installed", size(e.limit))
}

// bounded fails behind a limit.
type bounded struct {
	from        io.Reader
	left, limit int64
}

// Read reads up to the limit.
func (b *bounded) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, &tooLargeError{b.limit}
	}
	n, err := b.from.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
