package syncfile

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"
	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/types/resource"

	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

// Digest is which resources a sync file has, and what state its accounts are in, in 8
// bytes each: by resource type a sorted list of hashes of the ids, whose low bits are the
// state. All digests can be compared with each other.
//
// Of a million ids two have the same hash once in a million files, and then one of them is
// taken for the other.
type Digest map[string][]uint64

// The low bits of an entry.
const (
	statusBits = 0b11 // a Status_ResourceStatus
	stateBits  = 5
)

func entryOf(hash uint64, state sdkfast.AccountState) uint64 {
	entry := hash>>stateBits<<stateBits | uint64(state.Status)&statusBits //nolint:gosec // Only these bits.
	for i, has := range []bool{state.Email, state.Login, state.Name} {
		if has {
			entry |= Attribute(i).bit()
		}
	}
	return entry
}

// Attribute is something that an account has or lacks.
type Attribute int

// The attributes of accounts that are compared.
const (
	Email Attribute = iota
	Login
	Name
)

// Attributes are all of them.
var Attributes = []Attribute{Email, Login, Name}

// bit is the attribute's in an entry.
func (a Attribute) bit() uint64 { return 0b100 << a }

// String returns what the attribute is called in a sentence.
func (a Attribute) String() string { return [...]string{"e-mail address", "login", "name"}[a] }

// Change is what became of the resources of one type from one file to another.
type Change struct {
	// Before and Now are how many there were and are, Gone how many of those before are
	// not there any more.
	Before, Now, Gone int
	// Enabled is how many accounts were enabled before, Disabled how many of them are
	// there now and are disabled or deleted.
	Enabled, Disabled int
	// Had is how many of the accounts that are in both files had an attribute, Lost how
	// many of them have it no longer.
	Had, Lost [3]int
}

// Compare returns what became of the resources of a type from d to now.
func (d Digest) Compare(now Digest, typeID string) Change {
	was, is := d[typeID], now[typeID]
	change := Change{Before: len(was), Now: len(is)}
	i := 0
	for _, entry := range was {
		enabled := statusOfEntry(entry) == connectorv2.Status_RESOURCE_STATUS_ENABLED
		if enabled {
			change.Enabled++
		}
		for i < len(is) && is[i]>>stateBits < entry>>stateBits {
			i++
		}
		if i == len(is) || is[i]>>stateBits != entry>>stateBits {
			change.Gone++
			continue
		}
		status := statusOfEntry(is[i])
		if enabled && (status == connectorv2.Status_RESOURCE_STATUS_DISABLED || status == connectorv2.Status_RESOURCE_STATUS_DELETED) {
			change.Disabled++
		}
		for _, attribute := range Attributes {
			if entry&attribute.bit() == 0 {
				continue
			}
			change.Had[attribute]++
			if is[i]&attribute.bit() == 0 {
				change.Lost[attribute]++
			}
		}
	}
	return change
}

// hashBytes is how many bytes a hash has where it is kept.
const hashBytes = 8

// Beyond returns the resources of a type that d has and the other has not, as hashes to be
// kept for [Digest.Remove]; nil if there are none.
func (d Digest) Beyond(other Digest, typeID string) (hashes []byte) {
	known, i := other[typeID], 0
	for _, entry := range d[typeID] {
		for i < len(known) && known[i]>>stateBits < entry>>stateBits {
			i++
		}
		if i == len(known) || known[i]>>stateBits != entry>>stateBits {
			hashes = binary.BigEndian.AppendUint64(hashes, entry>>stateBits)
		}
	}
	return hashes
}

// Remove takes resources of a type out of the digest.
func (d Digest) Remove(typeID string, hashes []byte) {
	d[typeID] = slices.DeleteFunc(d[typeID], func(entry uint64) bool {
		for len(hashes) >= hashBytes && binary.BigEndian.Uint64(hashes) < entry>>stateBits {
			hashes = hashes[hashBytes:]
		}
		return len(hashes) >= hashBytes && binary.BigEndian.Uint64(hashes) == entry>>stateBits
	})
}

func statusOfEntry(entry uint64) connectorv2.Status_ResourceStatus {
	return connectorv2.Status_ResourceStatus(entry & statusBits)
}

func (d Digest) sort() {
	for _, entries := range d {
		slices.Sort(entries)
	}
}

// digesting returns an empty digest, with room for so many resources of each type, and what
// adds a row of the Pebble engine to it.
func digesting(types []*connectorv2.ResourceType, rows map[string]int64) (Digest, func(resourceType string, id, row []byte) error) {
	digest, accounts := Digest{}, map[string]bool{}
	for _, resourceType := range types {
		accounts[resourceType.GetId()] = isOfAccounts(resourceType)
	}
	return digest, func(typeID string, id, row []byte) error {
		var state sdkfast.AccountState
		if accounts[typeID] {
			var err error
			if state, err = sdkfast.StateOf(row); err != nil {
				return err
			}
		}
		if digest[typeID] == nil {
			digest[typeID] = make([]uint64, 0, rows[typeID])
		}
		digest[typeID] = append(digest[typeID], entryOf(xxhash.Sum64(id), state))
		return nil
	}
}

// digestRows returns the digest of a file of the Pebble engine: without the cache of the
// SDK's store, which would be filled, and unpacked by itself. It is gone before that store
// has its own copy, so that there need not be room for both.
func digestRows(ctx context.Context, path, work string) (_ Digest, err error) {
	if err := checkDisk(work, freeOnDisk); err != nil {
		return nil, err
	}
	file, err := sdkfast.Unpack(ctx, path, filepath.Join(work, "digest"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	latest, err := goToLatest(ctx, file)
	if err != nil {
		return nil, err
	}
	types, err := resourceTypes(ctx, file)
	if err != nil {
		return nil, err
	}
	noted, err := notedRows(ctx, file, latest.ID)
	if err != nil {
		return nil, err
	}
	digest, each := digesting(types, noted.GetResourcesByResourceType())
	if _, err := file.EachResource(ctx, each); err != nil {
		return nil, err
	}
	digest.sort()
	return digest, nil
}

// digestOtherwise returns the digest of an open file where its rows could not be read, for
// that reason: those of another storage engine are read with the SDK.
func (f *File) digestOtherwise(ctx context.Context, reason error) (Digest, error) {
	if _, ok := pebble.AsEngine(f.Store); ok {
		return nil, unreadable(f.path, f.work.Path(), reason)
	}
	return f.digestPages(ctx)
}

// digestPages reads them as the SDK's store gives them out, whatever its engine.
func (f *File) digestPages(ctx context.Context) (Digest, error) {
	types, err := f.AccountTypes(ctx)
	if err != nil {
		return nil, err
	}
	digest, token := Digest{}, ""
	for {
		page, err := f.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return nil, damaged(f.path, err)
		}
		for _, row := range page.GetList() {
			typeID := row.GetId().GetResourceType()
			var state sdkfast.AccountState
			if types[typeID] != nil {
				state = stateOf(row)
			}
			digest[typeID] = append(digest[typeID], entryOf(xxhash.Sum64String(row.GetId().GetResource()), state))
		}
		if token = page.GetNextPageToken(); token == "" {
			digest.sort()
			return digest, nil
		}
	}
}

// stateOf is [sdkfast.StateOf] for a row that has been decoded.
func stateOf(row *connectorv2.Resource) sdkfast.AccountState {
	name := row.GetDisplayName()
	state := sdkfast.AccountState{Status: int32(row.GetStatus().GetStatus()), Name: name != "" && name != row.GetId().GetResource()}
	trait, err := resource.GetUserTrait(row)
	if err != nil {
		return state
	}
	if !row.HasStatus() {
		state.Status = int32(trait.GetStatus().GetStatus()) //nolint:staticcheck // Where older connectors have it.
	}
	state.Login = trait.GetLogin() != ""
	state.Name = state.Name && name != trait.GetLogin()
	for _, email := range trait.GetEmails() {
		state.Email = state.Email || email.GetAddress() != ""
		state.Name = state.Name && name != email.GetAddress()
	}
	return state
}
