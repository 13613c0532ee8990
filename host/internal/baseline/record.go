package baseline

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/batonhost/baton-host/host/internal/files"
)

// form is the form of the record.
var form = files.Form{
	Version: 1,
	Without: "the sync file beside it is still compared with, and no plugin can fall back on it",
}

// record is what stands beside a sync file, as JSON. It may know two syncs, the
// new one and the one before: it is written before the file is put in place, so
// that the file there is known at every moment.
type record struct {
	Version int             `json:"version"`
	Syncs   map[string]Sync `json:"syncs"` // by the SHA-256 of the sync file
}

// Sync is what is known of one sync.
type Sync struct {
	// StartedAt is when the sync began.
	StartedAt time.Time `json:"started_at"`
	// UploadedAt is when C1 had it, zero if it was never uploaded, and Bytes how
	// large its file is; 0 if that is not known.
	UploadedAt time.Time `json:"uploaded_at,omitzero"`
	Bytes      int64     `json:"bytes,omitempty"`
	// Plugins are the parts of the sync, by instance name.
	Plugins map[string]Part `json:"plugins"`
	// Missing are the plugins of the upload that failed and that the sync went without.
	Missing []string `json:"missing,omitempty"`
}

// PluginOf returns the plugin that a resource type of the sync file is of, or nothing where
// that is not known.
func (s Sync) PluginOf(resourceType string) string {
	for instance, part := range s.Plugins {
		if slices.Contains(part.ResourceTypes, resourceType) {
			return instance
		}
	}
	return ""
}

// Part is one plugin's part in a sync.
type Part struct {
	// AsOf is when the app was last read completely: the start of this sync, or
	// of an earlier one whose answers were used again.
	AsOf time.Time `json:"as_of"`
	// Accounts is how many accounts the part has.
	Accounts int `json:"accounts"`
	// ResourceTypes are the ids of its resource types in the file.
	ResourceTypes []string `json:"resource_types"`
	// Static are its static entitlements by resource type.
	Static map[string][]Entitlement `json:"static_entitlements,omitempty"`
	// Elsewhere are the resource types whose rows came in a listing of another
	// resource; nil if that is not known, as an older version wrote the record.
	Elsewhere *Elsewhere `json:"found_elsewhere,omitempty"`
	// Counts are how many resources the app had by resource type when it was last read
	// completely, if that was not in this sync: the file may then have resources of two
	// readings, or too many. nil: as many as the file has.
	Counts map[string]int `json:"counts,omitempty"`
	// EntitlementCounts and GrantCounts are the same for entitlements and grants, by the
	// type of the resource that they are of. A type that has Counts and none of these is of
	// a record that an older version wrote: how many there were is not known.
	EntitlementCounts map[string]int `json:"entitlement_counts,omitempty"`
	GrantCounts       map[string]int `json:"grant_counts,omitempty"`
	// Unread are the resources that the file has and that reading had not, by type, as
	// hashes of their ids ([syncfile.Digest]): those of a reading that was not complete.
	Unread map[string][]byte `json:"unread_ids,omitempty"`
	// Unexpanded says that grants which follow from others are not among the grants of that
	// reading.
	Unexpanded bool `json:"unexpanded,omitempty"`
	// Window are the numbers of the syncs in which the app was read completely, back to
	// the last change that was approved, and no further than the change guard looks: see
	// [AdvanceWindow].
	Window []Numbers `json:"window,omitempty"`
	// Skipped is how many of its resources have no entitlements or grants in the file, or
	// not all of them, as the plugin did not find them any more. A later sync that falls
	// back on the part lacks them too.
	Skipped int `json:"skipped,omitempty"`
	// Evidence is what proves that the listings of the part are complete. A listing on
	// which the plugin has not reported has none, and so have all where an older version
	// wrote the record.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Metadata is what the plugin says of itself and its capabilities.
	Metadata *Metadata `json:"metadata,omitempty"`
}

// Elsewhere are the resource types of a plugin whose rows came in a listing of another
// resource than the row's own: the grants of a role that is found in the grants of a
// group, say. A sync file does not keep which listing a row came in, it files the row
// under its own resource.
type Elsewhere struct {
	Entitlements []string `json:"entitlements,omitempty"`
	Grants       []string `json:"grants,omitempty"`
}

// RowKind is what a listing under a resource is of.
type RowKind string

// The kinds of rows.
const (
	Entitlements RowKind = "entitlements"
	Grants       RowKind = "grants"
)

// MayHold says whether rows of a resource of this type may have come in the listing of
// another resource. What is not known may be.
func (e *Elsewhere) MayHold(kind RowKind, typeID string) bool {
	return e == nil || slices.Contains(e.of(kind), typeID)
}

// MayHoldAny says whether there may be any such rows.
func (e *Elsewhere) MayHoldAny(kind RowKind) bool { return e == nil || len(e.of(kind)) > 0 }

func (e *Elsewhere) of(kind RowKind) []string {
	if kind == Grants {
		return e.Grants
	}
	return e.Entitlements
}

// Entitlement is the SDK's, in protobuf's JSON.
type Entitlement struct{ *connectorv2.Entitlement }

// Metadata is the SDK's, in protobuf's JSON.
type Metadata struct{ *connectorv2.ConnectorMetadata }

// MarshalJSON writes protobuf's JSON.
func (e Entitlement) MarshalJSON() ([]byte, error) { return protojson.Marshal(e.Entitlement) }

// UnmarshalJSON reads protobuf's JSON.
func (e *Entitlement) UnmarshalJSON(data []byte) error {
	e.Entitlement = &connectorv2.Entitlement{}
	return protojson.Unmarshal(data, e.Entitlement)
}

// MarshalJSON writes protobuf's JSON.
func (m Metadata) MarshalJSON() ([]byte, error) { return protojson.Marshal(m.ConnectorMetadata) }

// UnmarshalJSON reads protobuf's JSON.
func (m *Metadata) UnmarshalJSON(data []byte) error {
	m.ConnectorMetadata = &connectorv2.ConnectorMetadata{}
	return protojson.Unmarshal(data, m.ConnectorMetadata)
}

// readRecord returns an empty record where there is none.
func readRecord(path string) (record, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return record{Syncs: map[string]Sync{}}, nil
	}
	if err != nil {
		return record{}, err
	}
	var r record
	if err := form.Decode(path, data, &r); err != nil {
		return record{}, err
	}
	if r.Syncs == nil {
		r.Syncs = map[string]Sync{}
	}
	return r, nil
}

// writeRecord replaces the record whole or not at all.
func writeRecord(path string, r record) error {
	r.Version = form.Version
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(path, data)
}
