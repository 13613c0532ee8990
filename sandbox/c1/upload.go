package c1

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type uploadStream = grpc.ClientStreamingServer[v1.BatonServiceUploadAssetRequest, v1.BatonServiceUploadAssetResponse]

// UploadAsset takes metadata, data and an end with the hash of the data, in that
// order and nothing else.
func (v *service) UploadAsset(stream uploadStream) error {
	s := v.server
	u := &uploading{server: s, stream: stream, client: caller(stream.Context()).name, hash: sha256.New()}
	u.fault = s.takeFault(UploadAssetCall, u.client, "")
	defer u.discard()
	err := u.take()
	if err != nil {
		s.mu.Lock()
		s.broken++
		s.note(Event{Kind: UploadBroken, Client: u.client, HostID: u.host, TaskID: u.taskID, Detail: fmt.Sprintf("after %d bytes: %v", u.size, err)})
		s.mu.Unlock()
		return err
	}
	if u.fault != nil && u.fault.answers() && u.fault.AfterEffect {
		return s.answerRPC(stream.Context(), u.fault)
	}
	return stream.SendAndClose(&v1.BatonServiceUploadAssetResponse{})
}

// uploading is one upload under way.
type uploading struct {
	server               *Server
	stream               uploadStream
	fault                *fault
	client, host, taskID string
	hash                 hash.Hash
	size                 int64
	stalled              bool
	file                 *os.File // nil if uploads are not kept
}

func (u *uploading) take() error {
	ctx := u.stream.Context()
	if u.fault != nil {
		if err := pause(ctx, u.fault.Delay, u.fault.cleared); err != nil {
			return status.FromContextError(err).Err()
		}
	}
	if err := u.failAfterBytes(ctx); err != nil {
		return err
	}
	first, err := u.next()
	if err != nil {
		return err
	}
	if !first.HasMetadata() {
		return u.breach("it does not begin with metadata")
	}
	if err := u.begin(first.GetMetadata()); err != nil {
		return err
	}
	for {
		if err := u.failAfterBytes(ctx); err != nil {
			return err
		}
		message, err := u.next()
		switch {
		case err != nil:
			return err
		case message.HasMetadata():
			return u.breach("it has metadata twice")
		case message.HasData():
			if err := u.write(message.GetData().GetData()); err != nil {
				return err
			}
		default:
			return u.end(ctx, message.GetEof())
		}
	}
}

// next reads a message and checks it. A stream that ends here ends too early.
func (u *uploading) next() (*v1.BatonServiceUploadAssetRequest, error) {
	message, err := u.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, u.breach("it ends without an eof message")
	}
	if err != nil {
		return nil, err
	}
	if err := message.ValidateAll(); err != nil {
		return nil, u.breach(err.Error())
	}
	return message, nil
}

func (u *uploading) breach(why string) error {
	return u.server.breach(codes.InvalidArgument, u.client, u.host, u.taskID, "UploadAsset: "+why)
}

// failAfterBytes is where a fault strikes that strikes in the middle.
func (u *uploading) failAfterBytes(ctx context.Context) error {
	f := u.fault
	if f == nil || f.AtEOF || f.AfterEffect || u.size < f.AfterBytes {
		return nil
	}
	if f.Stall {
		u.noteStall()
		select {
		case <-f.cleared:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	if f.answers() {
		return u.server.answerRPC(ctx, f)
	}
	return nil
}

func (u *uploading) noteStall() {
	if u.stalled {
		return // It was released and goes on.
	}
	u.stalled = true
	s := u.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(Event{Kind: UploadStalled, Client: u.client, HostID: u.host, TaskID: u.taskID, Detail: fmt.Sprintf("after %d bytes", u.size)})
}

func (u *uploading) begin(metadata *v1.BatonServiceUploadAssetRequest_UploadMetadata) error {
	s := u.server
	u.host, u.taskID = metadata.GetHostId(), metadata.GetTaskId()
	s.mu.Lock()
	_, err := s.leasedTask("UploadAsset", u.client, u.host, u.taskID)
	if err == nil {
		s.note(Event{Kind: UploadStarted, Client: u.client, HostID: u.host, TaskID: u.taskID})
	}
	s.mu.Unlock()
	if err != nil || s.opts.Dir == "" {
		return err
	}
	dir := filepath.Join(s.opts.Dir, u.client)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	if u.file, err = os.CreateTemp(dir, ".incomplete-*"); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

func (u *uploading) write(data []byte) error {
	u.size += int64(len(data))
	u.hash.Write(data)
	if u.file == nil {
		return nil
	}
	if _, err := u.file.Write(data); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

func (u *uploading) end(ctx context.Context, eof *v1.BatonServiceUploadAssetRequest_UploadEOF) error {
	s := u.server
	if [32]byte(eof.GetSha256Checksum()) != [32]byte(u.hash.Sum(nil)) {
		return u.breach("its bytes do not have the SHA-256 that it ends with")
	}
	if _, err := u.stream.Recv(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return u.breach("it goes on after its eof message")
	}
	if f := u.fault; f != nil && f.AtEOF && f.answers() && !f.AfterEffect {
		return s.answerRPC(ctx, f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.leasedTask("UploadAsset", u.client, u.host, u.taskID)
	if err != nil {
		return err
	}
	complete := Upload{
		Client: u.client, TaskID: u.taskID, HostID: u.host,
		SHA256: [32]byte(eof.GetSha256Checksum()), Size: u.size, At: time.Now(),
	}
	if complete.Path, err = u.keep(t.stored + 1); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	t.stored++
	t.uploaded++
	t.outcome.Uploads = append(t.outcome.Uploads, complete)
	s.uploads = append(s.uploads, complete)
	s.note(Event{
		Kind: UploadComplete, Client: u.client, HostID: u.host, TaskID: u.taskID,
		Detail: fmt.Sprintf("%d bytes, SHA-256 %x verified", complete.Size, complete.SHA256),
	})
	return nil
}

// keep gives a complete upload its name and returns its path.
func (u *uploading) keep(n int) (string, error) {
	if u.file == nil {
		return "", nil
	}
	from := u.file.Name()
	to := filepath.Join(filepath.Dir(from), fmt.Sprintf("%s-%d.c1z", u.taskID, n))
	if err := u.file.Close(); err != nil {
		return "", err
	}
	if err := os.Rename(from, to); err != nil {
		return "", err
	}
	u.file = nil
	return to, nil
}

// discard removes what is not complete.
func (u *uploading) discard() {
	if u.file == nil {
		return
	}
	_ = u.file.Close()
	_ = os.Remove(u.file.Name())
}
