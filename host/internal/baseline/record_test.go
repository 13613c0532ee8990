package baseline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// written is a record as hosts write it, in version 1 of its form, without the
// values that protobuf's JSON writes with changing spaces.
const written = `{
  "version": 1,
  "syncs": {
    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03": {
      "started_at": "2026-11-01T08:00:00Z",
      "uploaded_at": "2026-11-01T08:05:00Z",
      "bytes": 4096,
      "plugins": {
        "crm": {
          "as_of": "2026-11-01T08:00:00Z",
          "accounts": 40,
          "resource_types": [
            "crm.role",
            "crm.user"
          ],
          "found_elsewhere": {
            "entitlements": [
              "crm.seat"
            ],
            "grants": [
              "crm.role"
            ]
          },
          "counts": {
            "crm.user": 41
          },
          "entitlement_counts": {
            "crm.user": 0
          },
          "grant_counts": {
            "crm.user": 3
          },
          "unread_ids": {
            "crm.user": "AAAAAAAAAAE="
          },
          "unexpanded": true,
          "window": [
            {
              "at": "2026-10-31T08:00:00Z",
              "resources": {
                "crm.user": 44
              },
              "grants": {
                "crm.user": 5
              }
            }
          ],
          "evidence": [
            {
              "resource_type": "crm.role",
              "listing": "grants",
              "grade": "unproven",
              "reason": "it may be cut"
            },
            {
              "resource_type": "crm.user",
              "grade": "proven"
            }
          ]
        },
        "wiki": {
          "as_of": "2026-10-31T08:00:00Z",
          "accounts": 0,
          "resource_types": null
        }
      }
    }
  }
}`

// TestRecord_KeepsItsForm: records outlive the version of the host that wrote them.
func TestRecord_KeepsItsForm(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sync.c1z.json")
	require.NoError(t, os.WriteFile(path, []byte(written), 0o600))
	r, err := readRecord(path)
	require.NoError(t, err)
	began := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	require.Equal(t, record{Version: 1, Syncs: map[string]Sync{"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03": {
		StartedAt: began, UploadedAt: began.Add(5 * time.Minute), Bytes: 4096,
		Plugins: map[string]Part{
			"crm": {
				AsOf: began, Accounts: 40, ResourceTypes: []string{"crm.role", "crm.user"},
				Elsewhere: &Elsewhere{Entitlements: []string{"crm.seat"}, Grants: []string{"crm.role"}}, Counts: map[string]int{"crm.user": 41},
				EntitlementCounts: map[string]int{"crm.user": 0}, GrantCounts: map[string]int{"crm.user": 3}, Unexpanded: true,
				Unread:   map[string][]byte{"crm.user": {0, 0, 0, 0, 0, 0, 0, 1}},
				Window:   []Numbers{{At: began.AddDate(0, 0, -1), Resources: map[string]int{"crm.user": 44}, Grants: map[string]int{"crm.user": 5}}},
				Evidence: []Evidence{{ResourceType: "crm.role", Kind: Grants, Grade: Unproven, Reason: "it may be cut"}, {ResourceType: "crm.user", Grade: Proven}},
			},
			"wiki": {AsOf: began.AddDate(0, 0, -1)},
		},
	}}}, r)

	require.NoError(t, writeRecord(path, r))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(written, string(again)), "to the byte")
}

// TestRecord_KeepsWhatIsTheSDKs: static entitlements and metadata are protobuf's JSON.
func TestRecord_KeepsWhatIsTheSDKs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sync.c1z.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"version": 1, "syncs": {"s": {"started_at": "2026-11-01T08:00:00Z", "plugins": {"crm": {
		"as_of": "2026-11-01T08:00:00Z", "accounts": 1, "resource_types": ["crm.role"],
		"static_entitlements": {"crm.role": [{"displayName": "Member", "slug": "member"}]}, "metadata": {"displayName": "CRM"}}}}}}`), 0o600))
	for range 2 {
		r, err := readRecord(path)
		require.NoError(t, err)
		part := r.Syncs["s"].Plugins["crm"]
		require.Equal(t, "member", part.Static["crm.role"][0].GetSlug())
		require.Equal(t, "Member", part.Static["crm.role"][0].GetDisplayName())
		require.Equal(t, "CRM", part.Metadata.GetDisplayName())
		require.Nil(t, part.Elsewhere, "it is not known")
		require.Equal(t, NotReported, EvidenceOfAll(part.Evidence).Grade, "as an older version wrote it")
		require.NoError(t, writeRecord(path, r))
	}
}

// TestRecord_ReadsFilesOfEarlierVersions: the files are those that hosts of these versions
// wrote, and are not to be written again.
func TestRecord_ReadsFilesOfEarlierVersions(t *testing.T) {
	t.Parallel()
	for path, sum := range map[string]string{
		"testdata/state/v1/workforce.c1z.json": "6bfb965da6a0fd79d5b7f11b31d14797d169e8d3b857892d36e3153f543918eb",
	} {
		r, err := readRecord(path)
		require.NoError(t, err)
		require.Len(t, r.Syncs, 1)
		of := r.Syncs[sum]
		began := time.Date(2026, 11, 29, 10, 57, 31, 104128412, time.UTC)
		require.Equal(t, began, of.StartedAt)
		require.True(t, of.UploadedAt.After(began))
		require.EqualValues(t, 37801, of.Bytes)
		require.Len(t, of.Plugins, 2)
		part := of.Plugins["design-tool"]
		require.Equal(t, began, part.AsOf)
		require.Equal(t, 25, part.Accounts)
		require.Equal(t, []string{"design-tool.user"}, part.ResourceTypes)
		require.Equal(t, &Elsewhere{}, part.Elsewhere)
		require.Equal(t, Unproven, EvidenceOfAll(part.Evidence).Grade)
		require.Equal(t, Proven, EvidenceOfAll(of.Plugins["fullstory"].Evidence).Grade)
		require.Equal(t, "design-tool", part.Metadata.GetDisplayName())
	}
	dirs, err := os.ReadDir("testdata/state")
	require.NoError(t, err)
	require.Len(t, dirs, 1, "each version is read")
}

func TestRecord_WithoutAVersionIsOfTheFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sync.c1z.json")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(written, `"version": 1,`, "", 1)), 0o600))
	r, err := readRecord(path)
	require.NoError(t, err)
	require.Len(t, r.Syncs, 1)
	require.NoError(t, writeRecord(path, r))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(written, string(again)), "to the byte")
}

// TestRecord_OfALaterVersionIsLeft: whatever else is in it.
func TestRecord_OfALaterVersionIsLeft(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"version": 2}`, `{"version": 2, "syncs": ["another form"]}`} {
		path := filepath.Join(t.TempDir(), "sync.c1z")
		require.NoError(t, os.WriteFile(path+".json", []byte(text), 0o600))
		require.NoError(t, os.WriteFile(path, []byte("a sync file"), 0o600))
		keep := At(path)
		_, opened := keep.Open(t.Context(), t.TempDir())
		for name, err := range map[string]error{"checked": keep.Check(), "opened": opened, "replaced": keep.Replace(nil, Sync{}), "advanced": keep.Advance(nil, Sync{})} {
			require.ErrorContains(t, err, path+".json was written by a newer baton-host (its form is 2, and this one reads up to 1): update baton-host, or move the file away; then the sync file beside it is still compared with", name)
		}
		left, err := os.ReadFile(path + ".json")
		require.NoError(t, err)
		require.Equal(t, text, string(left))
	}
}

func TestRecord_ThatIsDamagedIsReplaced(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"version": "1"}`, `{"version": -1}`, `{"version": 1, "syncs": []}`} {
		path := filepath.Join(t.TempDir(), "sync.c1z.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := readRecord(path)
		require.ErrorContains(t, err, path+" is damaged: ", text)
		require.NoError(t, At(path[:len(path)-len(".json")]).Check(), text)
	}
}
