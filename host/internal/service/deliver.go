package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// chunkSize is the SDK's; C1 takes up to 1 MiB.
	chunkSize = 512 << 10
	// uploadFor is how long a file is tried to be uploaded, from the first attempt
	// to the beginning of the last.
	uploadFor = 10 * time.Minute
)

// deliver sends a file to C1 for a task, again and again if it must: each attempt
// sends all of it. It returns errTaken if C1 does not want it any more.
func (s *Service) deliver(ctx context.Context, task *v1.Task, path string) (size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("open the sync file for its upload: %w", err)
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if size, err = io.Copy(hash, file); err != nil {
		return 0, fmt.Errorf("read the sync file for its upload: %w", err)
	}
	sum := hash.Sum(nil)
	err = persistently(ctx, uploadFor,
		func(err error, wait time.Duration) {
			ctxzap.Extract(ctx).Warn("the upload failed; trying again", zap.Error(err), zap.Duration("wait", wait))
		},
		func(ctx context.Context) error {
			return s.send(ctx, task, io.NewSectionReader(file, 0, size), sum)
		})
	if status.Code(err) == codes.NotFound {
		return 0, errTaken
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("upload the sync file: %w", err)
	}
	return size, err
}

// send is one attempt.
func (s *Service) send(ctx context.Context, task *v1.Task, content io.Reader, sum []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := fmt.Errorf("C1 has neither taken more of the upload nor answered for %s", s.options.StallTimeout)
	// Send blocks for as long as C1 does not read.
	watchdog := time.AfterFunc(s.options.StallTimeout, func() { cancel(stalled) })
	defer watchdog.Stop()

	seen := s.client.creds.Version()
	err := s.stream(ctx, task, content, sum, watchdog)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, stalled) {
		return &callError{words: cause.Error(), cause: status.Error(codes.Unavailable, cause.Error())}
	}
	if status.Code(err) == codes.Unauthenticated && !s.client.isRefused() {
		_ = s.client.creds.renew(ctx, seen)
	}
	return s.client.explain(err)
}

func (s *Service) stream(ctx context.Context, task *v1.Task, content io.Reader, sum []byte, watchdog *time.Timer) error {
	conn, err := s.client.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stream, err := v1.NewBatonServiceClient(conn).UploadAsset(ctx)
	if err != nil {
		return err
	}
	send := func(message *v1.BatonServiceUploadAssetRequest) error {
		err := stream.Send(message)
		if errors.Is(err, io.EOF) {
			// C1 has answered before it has everything; the answer says why.
			if _, err = stream.CloseAndRecv(); err == nil {
				err = status.Error(codes.Unavailable, "C1 has ended the upload before its end")
			}
		}
		watchdog.Reset(s.options.StallTimeout)
		return err
	}
	if err := send(v1.BatonServiceUploadAssetRequest_builder{Metadata: v1.BatonServiceUploadAssetRequest_UploadMetadata_builder{
		HostId: s.hostID, TaskId: task.GetId(),
	}.Build()}.Build()); err != nil {
		return err
	}
	chunk := make([]byte, chunkSize)
	for {
		n, err := io.ReadFull(content, chunk)
		if n > 0 {
			if err := send(v1.BatonServiceUploadAssetRequest_builder{Data: v1.BatonServiceUploadAssetRequest_UploadData_builder{
				Data: chunk[:n],
			}.Build()}.Build()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the sync file for its upload: %w", err)
		}
	}
	if err := send(v1.BatonServiceUploadAssetRequest_builder{Eof: v1.BatonServiceUploadAssetRequest_UploadEOF_builder{
		Sha256Checksum: sum,
	}.Build()}.Build()); err != nil {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}
