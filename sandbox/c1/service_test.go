package c1_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/sandbox/c1"
)

func TestTask_FullSyncFromHelloToItsEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, c1.Options{Dir: dir, NextPoll: -1, Lease: 9 * time.Second})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	task := r.lease(ctx)

	polled, err := r.rpc.GetTask(ctx, v1.BatonServiceGetTaskRequest_builder{HostId: r.host}.Build())
	require.NoError(t, err)
	require.False(t, polled.HasTask(), "the only task is given")
	require.Zero(t, polled.GetNextPoll().AsDuration())
	beat, err := r.heartbeat(ctx, task)
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, beat.GetNextHeartbeat().AsDuration())
	require.False(t, beat.GetCancelled())

	content := make([]byte, 3<<20+17)
	_, err = rand.Read(content)
	require.NoError(t, err)
	require.NoError(t, r.upload(ctx, task, content))
	require.NoError(t, r.upload(ctx, task, []byte("a debug log")))
	response, err := anypb.New(&v2.ResourceType{})
	require.NoError(t, err)
	_, err = r.rpc.FinishTask(ctx, v1.BatonServiceFinishTaskRequest_builder{
		HostId: r.host, TaskId: task,
		Success: v1.BatonServiceFinishTaskRequest_Success_builder{Response: response}.Build(),
	}.Build())
	require.NoError(t, err)

	outcome, err := server.WaitFinished(r.ctx, task)
	require.NoError(t, err)
	require.True(t, outcome.Succeeded)
	require.Equal(t, response.GetTypeUrl(), outcome.Response.GetTypeUrl())
	require.Len(t, outcome.Uploads, 2)
	require.Equal(t, outcome.Uploads, server.Uploads("app"))
	require.Empty(t, server.Uploads("other"))
	first := outcome.Uploads[0]
	require.Equal(t, filepath.Join(dir, "app", task+"-1.c1z"), first.Path)
	require.Equal(t, int64(len(content)), first.Size)
	require.Equal(t, sum(content), first.SHA256[:])
	kept, err := os.ReadFile(first.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, kept))
	require.Empty(t, server.Violations())

	_, err = r.heartbeat(ctx, task)
	requireCode(t, codes.NotFound, err)
	require.Empty(t, server.Violations(), "a heartbeat may cross the end of its task")
}

// TestProtocol_RefusesAndRecordsABreach lets a client break the protocol once, with a full
// sync leased to it.
func TestProtocol_RefusesAndRecordsABreach(t *testing.T) {
	t.Parallel()
	content := []byte("content")
	for name, c := range map[string]struct {
		act  func(r *remote, ctx context.Context, task string) error
		code codes.Code
		want string
	}{
		"an upload without metadata": {func(r *remote, ctx context.Context, task string) error { return r.send(ctx, data(content)) }, codes.InvalidArgument, "does not begin with metadata"},
		"an upload without an end": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), data(content))
		}, codes.InvalidArgument, "without an eof"},
		"an upload of nothing": {func(r *remote, ctx context.Context, task string) error { return r.send(ctx) }, codes.InvalidArgument, "without an eof"},
		"an empty message":     {func(r *remote, ctx context.Context, task string) error { return r.send(ctx, &message{}) }, codes.InvalidArgument, "Msg"},
		"metadata twice": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), r.metadata(task))
		}, codes.InvalidArgument, "metadata twice"},
		"data after the end": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), data(content), eof(sum(content)), data(content))
		}, codes.InvalidArgument, "goes on after its eof"},
		"another hash": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), data(content), eof(sum(nil)))
		}, codes.InvalidArgument, "do not have the SHA-256"},
		"a short hash": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), data(content), eof(sum(nil)[:31]))
		}, codes.InvalidArgument, "Sha256Checksum"},
		"an empty chunk": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), data(nil))
		}, codes.InvalidArgument, "Data"},
		"too large a chunk": {func(r *remote, ctx context.Context, task string) error {
			return r.send(ctx, r.metadata(task), data(make([]byte, 1<<20+1)))
		}, codes.InvalidArgument, "Data"},
		"an upload for a foreign task": {func(r *remote, ctx context.Context, task string) error {
			return r.upload(ctx, strings.Repeat("a", 27), content)
		}, codes.NotFound, "never given"},
		"an upload from another host": {func(r *remote, ctx context.Context, task string) error {
			return r.on("host-b").upload(ctx, task, content)
		}, codes.NotFound, "never given"},
		"a heartbeat from another host": {func(r *remote, ctx context.Context, task string) error {
			_, err := r.on("host-b").heartbeat(ctx, task)
			return err
		}, codes.NotFound, "never given"},
		"a heartbeat for a short id": {func(r *remote, ctx context.Context, task string) error {
			_, err := r.heartbeat(ctx, task[1:])
			return err
		}, codes.InvalidArgument, "TaskId"},
		"an end from another host":  {func(r *remote, ctx context.Context, task string) error { return r.on("host-b").finish(ctx, task) }, codes.NotFound, "never given"},
		"success without an upload": {func(r *remote, ctx context.Context, task string) error { return r.finish(ctx, task) }, codes.FailedPrecondition, "without a complete upload"},
		"success after a broken upload": {func(r *remote, ctx context.Context, task string) error {
			_ = r.send(ctx, r.metadata(task))
			return r.finish(ctx, task)
		}, codes.FailedPrecondition, "without an eof"},
		"an end without a result": {func(r *remote, ctx context.Context, task string) error {
			_, err := r.rpc.FinishTask(ctx, v1.BatonServiceFinishTaskRequest_builder{HostId: r.host, TaskId: task}.Build())
			return err
		}, codes.InvalidArgument, "FinalState"},
		"no host id": {func(r *remote, ctx context.Context, task string) error { return r.on("").hello(ctx, "") }, codes.InvalidArgument, "HostId"},
		"too long a host id": {func(r *remote, ctx context.Context, task string) error {
			return r.on(strings.Repeat("x", 257)).hello(ctx, "")
		}, codes.InvalidArgument, "HostId"},
		"work before hello": {func(r *remote, ctx context.Context, task string) error {
			_, err := r.on("host-b").getTask(ctx)
			return err
		}, codes.FailedPrecondition, "send Hello first"},
		"a hello for a full sync": {func(r *remote, ctx context.Context, task string) error { return r.hello(ctx, task) }, codes.FailedPrecondition, "does not ask for a hello"},
		"a hello for a short id":  {func(r *remote, ctx context.Context, task string) error { return r.hello(ctx, task[1:]) }, codes.InvalidArgument, "27 letters"},
		"a hello without metadata": {func(r *remote, ctx context.Context, task string) error {
			_, err := r.rpc.Hello(ctx, v1.BatonServiceHelloRequest_builder{HostId: r.host}.Build())
			return err
		}, codes.InvalidArgument, "ConnectorMetadata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := start(t, c1.Options{Dir: dir})
			r := newRemote(t, server, "app")
			ctx := r.authorized()
			task := r.lease(ctx)
			require.Empty(t, server.Violations())
			requireCode(t, c.code, c.act(r, ctx, task))
			require.NotEmpty(t, server.Violations())
			require.Contains(t, server.Violations()[0], c.want)
			require.Empty(t, server.Uploads(""))
			kept, err := filepath.Glob(filepath.Join(dir, "*", "*"))
			require.NoError(t, err)
			require.Empty(t, kept, "nothing incomplete is kept")
			outcome, exists := server.Result(task)
			require.True(t, exists)
			require.False(t, outcome.Done, "the task waits for its host")
		})
	}
}

func TestTask_BelongsToItsClient(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r, other := newRemote(t, server, "app"), newRemote(t, server, "other")
	ctx, others := r.authorized(), other.authorized()
	task := r.lease(ctx)
	require.NoError(t, other.hello(others, ""))
	given, err := other.getTask(others)
	require.NoError(t, err)
	require.Nil(t, given)
	requireCode(t, codes.NotFound, other.upload(others, task, []byte("x")))
	require.Len(t, server.Violations(), 1)
	_, err = server.AddFullSync("nobody", nil)
	require.ErrorContains(t, err, `"nobody"`)
	_, err = server.AddClient("app")
	require.ErrorContains(t, err, "already")
	_, err = server.AddClient("../app")
	require.ErrorContains(t, err, "letters, digits")
}

func TestLease_ExpiryFreesTheTaskForAnotherHost(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{Lease: 200 * time.Millisecond})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	task := r.lease(ctx)
	_, err := server.WaitFor(r.ctx, func(e c1.Event) bool { return e.Kind == c1.LeaseExpired && e.TaskID == task })
	require.NoError(t, err)

	requireCode(t, codes.NotFound, r.upload(ctx, task, []byte("late")))
	requireCode(t, codes.NotFound, r.finish(ctx, task))
	require.Empty(t, server.Violations(), "being late is no breach of the protocol")
	second := r.on("host-b")
	require.NoError(t, second.hello(ctx, ""))
	given, err := second.getTask(ctx)
	require.NoError(t, err)
	require.Equal(t, task, given.GetId())
	outcome, _ := server.Result(task)
	require.Equal(t, 2, outcome.Attempts)
	require.Equal(t, "host-b", outcome.HostID)
}

func TestUpload_CountsForItsLeaseOnly(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{MaxAttempts: 2})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	task := r.lease(ctx)
	require.NoError(t, r.upload(ctx, task, []byte("first")))
	require.NoError(t, r.fail(ctx, task, false))
	given, err := r.getTask(ctx)
	require.NoError(t, err)
	require.Equal(t, task, given.GetId())
	requireCode(t, codes.FailedPrecondition, r.finish(ctx, task))
	require.NoError(t, r.upload(ctx, task, []byte("second")))
	require.NoError(t, r.finish(ctx, task))
	require.Len(t, server.Violations(), 1)
}

func TestLease_EndsWhenItsTaskIsCancelled(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{Lease: 200 * time.Millisecond})
	r := newRemote(t, server, "app")
	task := r.lease(r.authorized())
	server.Cancel(task)
	outcome, err := server.WaitFinished(r.ctx, task)
	require.NoError(t, err)
	require.True(t, outcome.Cancelled)
	require.False(t, outcome.Succeeded)

	waiting, err := server.AddFullSync("app", nil)
	require.NoError(t, err)
	server.Cancel(waiting)
	outcome, err = server.WaitFinished(r.ctx, waiting)
	require.NoError(t, err)
	require.Zero(t, outcome.Attempts, "no host was given it")
}

func TestHeartbeat_ExtendsTheLease(t *testing.T) {
	t.Parallel()
	const lease = 2 * time.Second
	// beaten reports whether each heartbeat was sent within a lease.
	beaten := func() bool {
		server := start(t, c1.Options{Lease: lease})
		r := newRemote(t, server, "app")
		ctx := r.authorized()
		task := r.lease(ctx)
		ticker := time.NewTicker(lease / 20)
		defer ticker.Stop()
		begun := time.Now()
		for last := begun; time.Since(begun) < lease+lease/4; <-ticker.C {
			next := time.Now()
			_, err := r.heartbeat(ctx, task)
			if time.Since(last) >= lease {
				return false
			}
			require.NoError(t, err)
			last = next
		}
		return true
	}
	// A machine that is too busy sends one too late, which is no fault: then once more.
	for range 10 {
		if beaten() {
			return
		}
	}
	require.Fail(t, "no heartbeat was in time")
}

func TestTask_IsRetriedWhereThatMayHelp(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{MaxAttempts: 2})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	task := r.lease(ctx)
	require.NoError(t, r.fail(ctx, task, false))
	given, err := r.getTask(ctx)
	require.NoError(t, err)
	require.Equal(t, task, given.GetId())
	require.NoError(t, r.fail(ctx, task, false))
	outcome, err := server.WaitFinished(r.ctx, task)
	require.NoError(t, err)
	require.False(t, outcome.Succeeded)
	require.Equal(t, 2, outcome.Attempts)
	require.Equal(t, "it broke", outcome.Status.GetMessage())

	final := r.lease(ctx)
	require.NoError(t, r.fail(ctx, final, true))
	outcome, err = server.WaitFinished(r.ctx, final)
	require.NoError(t, err)
	require.True(t, outcome.NonRetryable)
	require.Equal(t, 1, outcome.Attempts)
	require.Empty(t, server.Violations())
}

func TestTask_HelloIsAnsweredByHello(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	require.NoError(t, r.hello(ctx, ""))
	task, err := server.AddTask("app", v1.Task_builder{Hello: &v1.Task_HelloTask{}}.Build())
	require.NoError(t, err)
	_, err = r.getTask(ctx)
	require.NoError(t, err)
	requireCode(t, codes.FailedPrecondition, r.finish(ctx, task))
	require.Len(t, server.Violations(), 1)
	require.NoError(t, r.hello(ctx, task))
	outcome, err := server.WaitFinished(r.ctx, task)
	require.NoError(t, err)
	require.True(t, outcome.Succeeded)
}

func TestTask_SeveralAtOnce(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	require.NoError(t, r.hello(ctx, ""))
	var want []string
	for range 3 {
		task, err := server.AddTask("app", v1.Task_builder{ActionListSchemas: &v1.Task_ActionListSchemasTask{}}.Build())
		require.NoError(t, err)
		want = append(want, task)
	}
	answer, err := r.rpc.GetTasks(ctx, v1.BatonServiceGetTasksRequest_builder{
		HostId: r.host, PageSize: 1, KnownTaskIds: want[:1],
	}.Build())
	require.NoError(t, err)
	require.Len(t, answer.GetTasks(), 1)
	require.Equal(t, want[1], answer.GetTasks()[0].GetId())
	_, err = r.rpc.GetTasks(ctx, v1.BatonServiceGetTasksRequest_builder{HostId: r.host}.Build())
	requireCode(t, codes.InvalidArgument, err)
}

func TestTask_CancelAndExpire(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{MaxAttempts: 3})
	r := newRemote(t, server, "app")
	ctx := r.authorized()

	cancelled := r.lease(ctx)
	server.Cancel(cancelled)
	beat, err := r.heartbeat(ctx, cancelled)
	require.NoError(t, err)
	require.True(t, beat.GetCancelled())
	require.NoError(t, r.fail(ctx, cancelled, false))
	outcome, err := server.WaitFinished(r.ctx, cancelled)
	require.NoError(t, err)
	require.True(t, outcome.Cancelled)

	expired := r.lease(ctx)
	server.Expire(expired)
	_, err = r.heartbeat(ctx, expired)
	requireCode(t, codes.NotFound, err)
	given, err := r.getTask(ctx)
	require.NoError(t, err)
	require.Nil(t, given)
	outcome, err = server.WaitFinished(r.ctx, expired)
	require.NoError(t, err)
	require.True(t, outcome.Expired)
	require.Empty(t, server.Violations())
}
