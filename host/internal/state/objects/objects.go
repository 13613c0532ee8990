// Package objects keeps named objects where several hosts reach them: in a bucket of an S3
// server, or in a directory of a shared file system.
//
// Package state keeps what is known of uploads in it; package config checks what the file says
// of it. It must never write an object that is to be new in the place of another one, return
// an object that is cut off as if it were whole, or show a credential.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Store keeps objects by name. Names are paths with slashes. Its methods may be called
// concurrently. An error is [os.ErrNotExist] or [os.ErrExist] where that is all that it says,
// and otherwise an [Error].
type Store interface {
	// String names the store, as an operator knows it, without parameters.
	String() string
	// Path names an object, as an operator finds it.
	Path(name string) string
	// Get opens an object. What it reads fails where the object is cut off.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// Put writes the content as an object of that name, whole or not at all. It has this many
	// bytes and, in hexadecimal, this SHA-256.
	Put(ctx context.Context, name string, content io.ReadSeeker, bytes int64, sum string) error
	// Create is Put for a small object, unless there is one of that name: of all who create
	// the same one, one succeeds. After an error that is not [os.ErrExist] the object may be
	// there, or come to be there.
	Create(ctx context.Context, name string, content []byte) error
	// List returns the objects whose names begin with a directory, which ends with a slash,
	// and come after a name, in the order of their names. It sees all that was written before.
	List(ctx context.Context, dir, after string) ([]Object, error)
	// Remove removes an object; there need be none.
	Remove(ctx context.Context, name string) error
}

// Object is what is known of an object without reading it.
type Object struct {
	Name string
	// Modified is when it was written, by the clock of the store.
	Modified time.Time
}

// Error is why a store does not do what it is asked for, in a sentence with a remedy.
type Error struct {
	// Text has no credential, and no content of an object.
	Text string
	// IsFinal says that it stays so until an operator changes something: there is no such bucket,
	// or something is not allowed. Otherwise the store may be away for a while.
	IsFinal bool
	Cause   error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Cause }

// IsFinal reports whether an error stays until an operator changes something.
func IsFinal(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.IsFinal
}

// Location is where a store is, as the key "state" has it.
type Location struct {
	// Directory is that of a shared file system, as an absolute path; otherwise the rest is of
	// a bucket.
	Directory string

	Bucket, Prefix, Region string
	// Endpoint is the host and port of a server that is not AWS; empty: AWS.
	Endpoint string
	// Plain is http, for a server on this machine.
	Plain bool
}

// Parse returns where a store is. A relative directory starts at dir. Errors are the rest of
// a sentence that begins with the name of the key.
func Parse(text, dir string) (Location, error) {
	if path, is := strings.CutPrefix(text, "file://"); is {
		if !filepath.IsAbs(path) {
			return Location{}, errors.New(`has a file URL without an absolute path; write file:///shared/baton-host, or the path alone`)
		}
		return Location{Directory: filepath.Clean(path)}, nil
	}
	if !strings.Contains(text, "://") {
		if text == "" {
			return Location{}, errors.New("is empty")
		}
		if !filepath.IsAbs(text) {
			text = filepath.Join(dir, text)
		}
		return Location{Directory: filepath.Clean(text)}, nil
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return Location{}, errors.New("is no URL") // The error would quote it.
	}
	return parseBucket(parsed)
}

const example = "s3://bucket/prefix?region=eu-central-1"

func parseBucket(parsed *url.URL) (Location, error) {
	location := Location{Bucket: parsed.Host, Prefix: strings.Trim(parsed.Path, "/")}
	switch {
	case parsed.Scheme != "s3":
		return Location{}, fmt.Errorf("has a URL that begins with %s://; it takes a directory, or a bucket as in %s", parsed.Scheme, example)
	case parsed.User != nil:
		return Location{}, errors.New("has credentials in its URL; give the host AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role instead")
	case len(location.Bucket) < 3 || parsed.Port() != "":
		return Location{}, fmt.Errorf("has no bucket; write it as in %s", example)
	case parsed.Fragment != "":
		return Location{}, errors.New("has a URL with a #, which means nothing there")
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return Location{}, fmt.Errorf("has parameters that cannot be read; write them as in %s", example)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if len(values) != 1 || values[0] == "" {
			return Location{}, fmt.Errorf("has no single value of %q; write it as in %s", name, example)
		}
		switch name {
		case "region":
			location.Region = values[0]
		case "endpoint":
			if err := location.parseEndpoint(values[0]); err != nil {
				return Location{}, err
			}
		default:
			return Location{}, fmt.Errorf("has the parameter %q; it takes region and endpoint", name)
		}
	}
	return location, nil
}

func (l *Location) parseEndpoint(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.User != nil || strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" {
		return errors.New("has an endpoint that is no address; write endpoint=https://s3.example.com")
	}
	switch {
	case parsed.Scheme == "http" && isLoopback(parsed.Hostname()):
		l.Plain = true
	case parsed.Scheme != "https":
		return errors.New("has an endpoint without TLS, which is for this machine alone; write endpoint=https://s3.example.com")
	}
	l.Endpoint = parsed.Host
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// String is the location as an operator knows it, without parameters.
func (l Location) String() string {
	if l.Directory != "" {
		return l.Directory
	}
	return strings.TrimSuffix("s3://"+l.Bucket+"/"+l.Prefix, "/")
}

// Open returns the store at a location. It calls nothing.
func Open(l Location) (Store, error) {
	if l.Directory != "" {
		return &directory{path: l.Directory}, nil
	}
	return openBucket(l)
}
