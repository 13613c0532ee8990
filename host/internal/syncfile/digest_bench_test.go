package syncfile

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

var digestAccounts = flag.Int("digest-accounts", 10_000, "how many accounts the file of BenchmarkDigest has")

// BenchmarkDigest reads a file back with and without its digest, as a sync does behind its
// end, and opens a file with and without its digest, as a sync does with its baseline. Each
// reports the CPU time of an operation and the greatest resident set that the process had
// beyond the one before ("peak-MiB", on Linux).
func BenchmarkDigest(b *testing.B) {
	ctx, dir := b.Context(), b.TempDir()
	path := filepath.Join(dir, "new.c1z")
	rows := manyAccounts(b, path, dir, *digestAccounts)
	for _, with := range []bool{false, true, false, true} {
		b.Run(fmt.Sprintf("read back/%t", with), func(b *testing.B) {
			b.ReportAllocs()
			used := usage(b)
			for b.Loop() {
				work, err := files.Make(dir, workPrefix)
				require.NoError(b, err)
				draft := &Draft{path: path, work: work, spared: true, rows: rows, withDigest: with}
				require.NoError(b, draft.readBack(ctx, true))
				require.Equal(b, with, len(draft.Digest["user"]) == *digestAccounts)
				require.NoError(b, work.Remove())
			}
			used()
		})
	}
	for _, with := range []bool{false, true, false, true} {
		b.Run(fmt.Sprintf("open/%t", with), func(b *testing.B) {
			b.ReportAllocs()
			used := usage(b)
			for b.Loop() {
				file, digest, err := open(ctx, path, dir, with)
				require.NoError(b, err)
				require.Equal(b, with, len(digest["user"]) == *digestAccounts)
				require.NoError(b, file.Close(context.WithoutCancel(ctx)))
			}
			used()
		})
	}
	b.Run("compare", func(b *testing.B) {
		file, digest, err := OpenWithDigest(ctx, path, dir)
		require.NoError(b, err)
		defer func() { _ = file.Close(context.WithoutCancel(ctx)) }()
		b.ReportAllocs()
		for b.Loop() {
			require.Zero(b, digest.Compare(digest, "user").Gone)
		}
	})
}

// usage returns what reports the CPU time and the memory that were used since.
func usage(b *testing.B) func() {
	b.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return func() {}
	}
	before, began := statusOfProcess(b, "VmRSS:"), cpuTime(b)
	return func() {
		b.ReportMetric(float64(statusOfProcess(b, "VmHWM:")-before)/1024, "peak-MiB")
		b.ReportMetric(float64((cpuTime(b)-began).Milliseconds())/float64(b.N), "cpu-ms/op")
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	require.NoError(b, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))
	const user, system = 12, 13 // in ticks of 10 ms
	ticks := 0
	for _, at := range []int{user, system} {
		n, err := strconv.Atoi(fields[at])
		require.NoError(b, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func statusOfProcess(b *testing.B, name string) int {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(status), name)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(b, err)
	return n
}

// manyAccounts writes a file of accounts as a directory has them, and returns their number.
func manyAccounts(b *testing.B, path, dir string, n int) map[string]int64 {
	b.Helper()
	ctx := b.Context()
	_, store, err := sdkfast.OpenStore(ctx, path, dir, "")
	require.NoError(b, err)
	_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
	require.NoError(b, err)
	store.BeginStep(sync.Action{Op: sync.SyncResourceTypesOp})
	require.NoError(b, store.PutResourceTypes(ctx, connectorv2.ResourceType_builder{
		Id: "user", Traits: []connectorv2.ResourceType_Trait{connectorv2.ResourceType_TRAIT_USER}, Annotations: annotations.New(&connectorv2.SkipEntitlementsAndGrants{}),
	}.Build()))
	store.BeginStep(sync.Action{Op: sync.SyncResourcesOp})
	const page = 1000
	for from := 0; from < n; from += page {
		var rows []*connectorv2.Resource
		for i := from; i < min(from+page, n); i++ {
			profile, err := structpb.NewStruct(map[string]any{
				"first_name": fmt.Sprint("First", i%977), "last_name": fmt.Sprint("Last", i%7919), "department": fmt.Sprint("Department ", i%40), "title": "Engineer", "employee_number": fmt.Sprint(i),
			})
			require.NoError(b, err)
			login := fmt.Sprintf("first%d.last%d@example.com", i%977, i)
			rows = append(rows, connectorv2.Resource_builder{
				Id:          connectorv2.ResourceId_builder{ResourceType: "user", Resource: fmt.Sprintf("%08x-0000-4000-8000-%012x", i*2654435761%(1<<32), i)}.Build(),
				DisplayName: fmt.Sprintf("First%d Last%d", i%977, i%7919), Profile: profile,
				Status: connectorv2.Status_builder{Status: connectorv2.Status_RESOURCE_STATUS_ENABLED}.Build(),
				Annotations: annotations.New(connectorv2.UserTrait_builder{
					Login: login, Emails: []*connectorv2.UserTrait_Email{connectorv2.UserTrait_Email_builder{Address: login, IsPrimary: true}.Build()},
				}.Build()),
			}.Build())
		}
		require.NoError(b, store.PutResources(ctx, rows...))
	}
	require.NoError(b, store.EndSync(ctx))
	require.NoError(b, store.Close(ctx))
	return store.ResourcesPut()
}
