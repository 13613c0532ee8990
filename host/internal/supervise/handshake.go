package supervise

import (
	"bytes"
	"io"
	"os"
)

// handshakeReader gives go-plugin the first line of a plugin's standard output,
// which is the handshake, and the log the rest: go-plugin v1.8.0 drops it, and
// stops reading altogether at a line of more than 64 KiB, on which the plugin
// then waits for ever.
type handshakeReader struct {
	from   *os.File
	rest   io.Writer
	passed bool // the first line has been given out
}

func (r *handshakeReader) Read(p []byte) (int, error) {
	if r.passed {
		_, err := io.Copy(r.rest, r.from)
		if err == nil {
			err = io.EOF
		}
		return 0, err
	}
	n, err := r.from.Read(p)
	if at := bytes.IndexByte(p[:n], '\n'); at >= 0 {
		r.passed = true
		_, _ = r.rest.Write(p[at+1 : n])
		n = at + 1
	}
	return n, err
}

func (r *handshakeReader) Close() error { return r.from.Close() }
