package releases

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"strings"
)

// File is a file of an archive.
type File struct {
	Name    string
	Content []byte
	// Mode is its mode; 0: a program's.
	Mode fs.FileMode
	// Type is what it is in a tar archive, with Link as where it leads; 0: a file.
	Type byte
	Link string
	// Size is what the archive says that it has, if that is more than its content.
	Size int64
}

// Tar returns a compressed tar archive. One that says more of a file than it has ends there.
func Tar(files ...File) ([]byte, error) {
	var content bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&content, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressed)
	for _, file := range files {
		header := &tar.Header{
			Name: file.Name, Mode: int64(file.mode()), Size: max(file.Size, int64(len(file.Content))),
			Typeflag: file.Type, Linkname: file.Link, Format: tar.FormatPAX,
		}
		if file.Type == 0 {
			header.Typeflag = tar.TypeReg
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.Content); err != nil {
			return nil, err
		}
		if file.Size > int64(len(file.Content)) {
			err := compressed.Close()
			return content.Bytes(), err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	err = compressed.Close()
	return content.Bytes(), err
}

// Zip returns a zip archive.
func Zip(files ...File) ([]byte, error) {
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for _, file := range files {
		header := &zip.FileHeader{Name: file.Name, Method: zip.Deflate}
		mode := file.mode()
		if file.Link != "" {
			mode |= fs.ModeSymlink
			file.Content = []byte(file.Link)
		}
		header.SetMode(mode)
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(entry, bytes.NewReader(file.Content)); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return content.Bytes(), err
}

func (f File) mode() fs.FileMode {
	if f.Mode == 0 {
		return 0o755
	}
	return f.Mode
}

// Archive returns the archive of a connector for a platform, such as "linux-amd64", as it is
// released.
func Archive(connector, platform string, binary []byte) ([]byte, error) {
	files := []File{{Name: "LICENSE", Content: []byte("Apache-2.0\n"), Mode: 0o644}, {Name: "README.md", Content: []byte("# " + connector + "\n"), Mode: 0o644}, {Name: connector, Content: binary}}
	if strings.HasPrefix(platform, "windows-") {
		files[2].Name += ".exe"
	}
	if strings.HasPrefix(platform, "linux-") {
		return Tar(files...)
	}
	return Zip(files...)
}
