//go:build real

package syncrun_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/state/objects"
)

// realServer is where `make real` puts SeaweedFS.
const realServer = "../../../build/real/weed"

// identities is the one whose credentials all tests have.
const identities = `{"identities": [{"name": "host", "credentials": [{"accessKey": "AKIATEST", "secretKey": "secret"}], "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}`

// safeBuffer is what a process writes.
type safeBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// startReal starts a server with a bucket, and returns a store in it.
func startReal(t *testing.T) objects.Store {
	t.Helper()
	binary, err := filepath.Abs(realServer)
	require.NoError(t, err)
	require.FileExists(t, binary, "run: make real-seaweedfs")
	dir := t.TempDir()
	config := filepath.Join(dir, "identities.json")
	require.NoError(t, os.WriteFile(config, []byte(identities), 0o600))
	var ports []string
	for range 8 {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = listener.Close() }()
		ports = append(ports, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
		require.NoError(t, listener.Close())
	}
	var log safeBuffer
	command := exec.CommandContext(t.Context(), binary, "server", "-dir="+dir, "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", //nolint:gosec // It is what make real has built.
		"-master.port="+ports[0], "-master.port.grpc="+ports[1], "-volume.port="+ports[2], "-volume.port.grpc="+ports[3], "-volume.max=100",
		"-filer", "-filer.port="+ports[4], "-filer.port.grpc="+ports[5], "-filer.localSocket="+filepath.Join(dir, "f.sock"),
		"-s3", "-s3.port="+ports[6], "-s3.port.grpc="+ports[7], "-s3.config="+config)
	command.Env, command.Dir = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, dir
	command.Stdout, command.Stderr = &log, &log
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 20 * time.Second
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	admin, err := minio.New("127.0.0.1:"+ports[6], &minio.Options{Creds: credentials.NewStaticV4("AKIATEST", "secret", ""), MaxRetries: 1})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return admin.MakeBucket(ctx, "baton", minio.MakeBucketOptions{}) == nil
	}, 2*time.Minute, 200*time.Millisecond, "it does not start")
	location, err := objects.Parse("s3://baton/production?endpoint=http://127.0.0.1:"+ports[6], "")
	require.NoError(t, err)
	store, err := objects.Open(location)
	require.NoError(t, err)
	return store
}

// TestRealFailover is TestFailover_IsAsIfOneHostHadDoneItAll with SeaweedFS, at length.
func TestRealFailover(t *testing.T) { //nolint:paralleltest // It needs the machine.
	failOver(t, startReal(t), 3, 100)
}
