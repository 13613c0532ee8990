package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/batonhost/baton-host/host/internal/files"
)

var (
	// ErrNoHost says that no host listens at the socket of a directory.
	ErrNoHost = errors.New("no baton-host listens there")
	// ErrPathTooLong says that the directory has too long a path for a socket.
	ErrPathTooLong = errors.New("the path of the control socket is too long")
)

const (
	// largestAnswer is how many bytes an answer may have: the status of a host with a
	// thousand uploads and the history of each.
	largestAnswer = 32 << 20
	// connectTimeout is how long a host may take to accept the connection.
	connectTimeout = 10 * time.Second
)

// Call sends a request to the host that runs on a state directory, and decodes its answer.
// The host has until the deadline of the context, or a minute where it has none.
// Errors are sentences: those of the host as it wrote them, and [ErrNoHost] and
// [ErrPathTooLong] where it could not be asked.
func Call(ctx context.Context, dir, name string, asked, answer any) error {
	path := filepath.Join(dir, socketName)
	if err := checkLength(path); err != nil {
		return err
	}
	data, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	body, err := json.Marshal(request{Version: version, Request: data})
	if err != nil {
		return err
	}
	if len(body) > largestRequest {
		return errTooLarge
	}
	conn, err := connect(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	token, err := readToken(filepath.Join(dir, tokenName))
	if err != nil {
		return err
	}
	said, err := exchange(ctx, conn, name, token, body)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the host that runs on %s did not answer: %w; see its log, and whether it has stopped", dir, err)
	}
	switch {
	case said.Error != "":
		return errors.New(said.Error)
	case said.Version != version || said.Answer == nil:
		return fmt.Errorf("the host that runs on %s (%s) answers in a form that this command does not know; use the baton-host command of the host's version", dir, said.Host)
	}
	if err := json.Unmarshal(said.Answer, answer); err != nil {
		return fmt.Errorf("the host that runs on %s (%s) answers in a form that this command does not know (%w); use the baton-host command of the host's version", dir, said.Host, err)
	}
	return nil
}

// connect connects to a host.
func connect(ctx context.Context, path string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w: there is no %s", ErrNoHost, path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: %s is the socket of a host that has ended", ErrNoHost, path)
	case errors.Is(err, os.ErrPermission):
		return nil, notAllowed(path)
	case err != nil:
		return nil, fmt.Errorf("the host behind %s cannot be reached: %w", path, err)
	}
	return conn, nil
}

func readToken(path string) (string, error) {
	token, err := files.ReadRegular(path, 2*tokenBytes)
	switch {
	case errors.Is(err, files.ErrNotAllowed):
		return "", notAllowed(path)
	case err != nil:
		return "", fmt.Errorf("the token of the control socket cannot be read from %s: %w; restart the host, which writes a new one", path, err)
	}
	return string(token), nil
}

// notAllowed says who may ask a host for something.
func notAllowed(path string) error {
	whose := "the host's user"
	if name, _ := files.Owner(path); name != "" {
		whose = fmt.Sprintf("user %s", name)
	}
	return fmt.Errorf("%s is for %s alone, as whom the host runs; run this command as that user", path, whose)
}

// exchange sends the request and reads the reply.
func exchange(ctx context.Context, conn net.Conn, name, token string, body []byte) (*reply, error) {
	begun := time.Now()
	end, set := ctx.Deadline()
	if !set {
		end = begun.Add(answerTimeout)
	}
	_ = conn.SetDeadline(end)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	asking, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+socketName+"/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	asking.Header.Set("Authorization", "Bearer "+token)
	asking.Header.Set("Content-Type", "application/json")
	if err := asking.Write(conn); err != nil {
		return nil, inWords(err, begun)
	}
	answered, err := http.ReadResponse(bufio.NewReader(conn), asking)
	if err != nil {
		return nil, inWords(err, begun)
	}
	defer answered.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answered.Body, largestAnswer+1))
	if err != nil {
		return nil, inWords(err, begun)
	}
	if len(data) > largestAnswer {
		return nil, fmt.Errorf("its answer is larger than %d MiB", largestAnswer>>20)
	}
	said := &reply{}
	if err := json.Unmarshal(data, said); err != nil {
		return nil, fmt.Errorf("its answer (status %d) is no JSON", answered.StatusCode)
	}
	return said, nil
}

// inWords returns what broke a connection that was used since then, in a sentence.
func inWords(err error, begun time.Time) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return errors.New("it closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("it took longer than %s", time.Since(begun).Round(time.Second))
	}
	return err
}
