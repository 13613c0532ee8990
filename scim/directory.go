package scim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

// directory is which users one listing of accounts has read: their ids, what they sign in
// with, and which groups they carry. The members of groups are compared with it.
//
// A user costs the bytes of the id and some 20 more, and 4 for each group.
type directory struct {
	sync string
	// at and next are the page tokens of the last batch and of the one that follows.
	at, next string
	// whole means that it has all users from the beginning of the listing on, ended that
	// the listing has come to its end, proven that it was proven to be complete.
	whole, ended, proven bool
	// room is how many bytes more it may have.
	room int

	// ids are the ids of the users in their order, ends where each one ends, and slots a
	// table of them by their hash: 1 more than the number of the user, 0 for none.
	ids   []byte
	ends  []uint32
	slots []uint32
	seed  maphash.Seed
	// logins are the digests of the user names, 0 for none, and byLogin has the users by
	// them: -1 if there are several.
	logins  []uint64
	byLogin map[uint64]int

	// groups are those that users carry, in the order in which they came, and carriers which
	// users carry each. A user may be among them twice.
	groups   []ownGroup
	carriers [][]uint32
	known    map[ownGroup]int
	// read are the groups by their JSON.
	read map[string]int
	// cut are the users who carry as many groups as apps cut lists at, and unclear is how
	// many groups were carried that name none.
	cut     []uint32
	unclear int

	// pending is what is not in the journal yet, logged how much of that is about this
	// directory, less than zero if it could not be written. noted means that it is to be there.
	pending []sighting
	logged  int64
	noted   bool

	// resolved has the groups that users carry by the id of the group in the list; nil before
	// they are looked up there. It does not change any more. ambiguous are groups whose name
	// alone users carry, and others have it too.
	resolving sync.Mutex
	resolved  map[string][]int
	ambiguous map[string]bool
}

const (
	// maxDirectory is how many bytes a directory has at most: those of some million users.
	maxDirectory = 64 << 20
	// maxRead is how many groups are known by their JSON.
	maxRead = 1 << 16
	// notListed is the JSON of what is no group.
	notListed = -1
)

func newDirectory(sync, token string, room int) *directory {
	return &directory{
		sync: sync, next: token, whole: token == "", room: room, seed: maphash.MakeSeed(),
		known: map[ownGroup]int{}, read: map[string]int{},
	}
}

// add notes the users of a batch.
func (d *directory) add(b *batch) {
	var carried []uint32
	for _, e := range b.entries {
		u, ok := e.(*user)
		if !ok || !d.whole {
			continue
		}
		carried = carried[:0]
		for _, item := range u.Groups.items() {
			if at := d.group(item); at >= 0 {
				carried = append(carried, uint32(at)) //nolint:gosec // There is no room for so many.
			}
		}
		slices.Sort(carried)
		d.note(u.id(), digestOfLogin(string(u.UserName.text)), slices.Compact(carried))
	}
	d.at, d.next = d.next, b.next
	if b.next == "" && b.end != nil {
		d.ended, d.proven = true, b.end.Grade() == listing.Proven
	}
}

// group is the number of a group that a user carries.
func (d *directory) group(item string) int {
	if at, known := d.read[item]; known {
		return at
	}
	one, known, isGroup := readOwnGroup(item)
	at := notListed
	switch {
	case !isGroup:
	case !known:
		d.unclear++
		return notListed
	default:
		at = d.define(one)
	}
	if len(d.read) == maxRead {
		clear(d.read)
	}
	d.read[strings.Clone(item)] = at
	return at
}

// define is the number of a group, which may be new.
func (d *directory) define(one ownGroup) int {
	at, known := d.known[one]
	if known {
		return at
	}
	one = ownGroup{strings.Clone(one.Value), strings.Clone(one.Ref), strings.Clone(one.Name), one.Via}
	at = len(d.groups)
	d.known[one] = at
	d.groups = append(d.groups, one)
	d.carriers = append(d.carriers, nil)
	d.spend(200 + 3*(len(one.Value)+len(one.Ref)+len(one.Name)))
	if d.noted {
		// A struct of texts always marshals.
		written, _ := json.Marshal(one)
		d.pending = append(d.pending, sighting{string(written), recordGroup})
	}
	return at
}

// note notes a user. One who comes again, may carry others then: all of them count.
func (d *directory) note(id string, login uint64, carried []uint32) {
	if !d.whole {
		return
	}
	number, known := d.number(id)
	if d.spend(4*len(carried) + len(id) + 24); !d.whole {
		return
	}
	if !known {
		number = len(d.ends)
		d.ids = append(d.ids, id...)
		d.ends = append(d.ends, uint32(len(d.ids))) //nolint:gosec // There is no room for so many.
		d.logins = append(d.logins, login)
		d.enter(number)
	}
	for _, at := range carried {
		d.carriers[at] = append(d.carriers[at], uint32(number)) //nolint:gosec // see above
	}
	if slices.Contains(listing.RoundSizes, len(carried)) {
		d.cut = append(d.cut, uint32(number)) //nolint:gosec // see above
	}
	if !d.noted {
		return
	}
	record := binary.AppendUvarint(nil, uint64(len(id)))
	record = append(record, id...)
	record = binary.LittleEndian.AppendUint64(record, login)
	for _, at := range carried {
		record = binary.AppendUvarint(record, uint64(at))
	}
	d.pending = append(d.pending, sighting{string(record), recordUser})
}

// spend takes from the room. What there is no room for is not kept.
func (d *directory) spend(bytes int) {
	if d.room -= bytes; d.room >= 0 {
		return
	}
	*d = directory{sync: d.sync, at: d.at, next: d.next, room: -1, logged: d.logged, noted: d.noted, seed: d.seed, known: map[ownGroup]int{}, read: map[string]int{}}
}

// digestOfLogin is by what a user name is known again, in any letter case (RFC 7643
// section 4.1.1): two names that have the same digest cannot be made on purpose.
func digestOfLogin(name string) uint64 {
	if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(name))
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

// users is how many users there are.
func (d *directory) users() int { return len(d.ends) }

// id is the id of a user by number.
func (d *directory) id(number int) string { return string(d.idBytes(number)) }

func (d *directory) idBytes(number int) []byte {
	begin := uint32(0)
	if number > 0 {
		begin = d.ends[number-1]
	}
	return d.ids[begin:d.ends[number]]
}

// number is the number of the user of an id.
func (d *directory) number(id string) (int, bool) {
	if len(d.slots) == 0 {
		return 0, false
	}
	found := d.slots[d.slot(id)]
	return int(found) - 1, found != 0
}

// slot is where the user of an id is in the table, or belongs.
func (d *directory) slot(id string) int {
	size := uint64(len(d.slots))
	at, _ := bits.Mul64(maphash.String(d.seed, id), size)
	for d.slots[at] != 0 && string(d.idBytes(int(d.slots[at])-1)) != id {
		if at++; at == size {
			at = 0
		}
	}
	return int(at) //nolint:gosec // less than the size
}

// enter puts a user into the table, which is at most three quarters full.
func (d *directory) enter(number int) {
	if 4*(number+1) > 3*len(d.slots) {
		d.slots = make([]uint32, max(64, 2*len(d.slots)))
		for before := range number {
			d.slots[d.slot(d.id(before))] = uint32(before + 1)
		}
	}
	d.slots[d.slot(d.id(number))] = uint32(number + 1) //nolint:gosec // see note
}

// resolve finds out which groups of the list users carry. The first time it returns how many
// they carry that are not among them.
func (d *directory) resolve(index *groupIndex) (strange int) {
	d.resolving.Lock()
	defer d.resolving.Unlock()
	if d.resolved != nil {
		return 0
	}
	d.resolved, d.ambiguous = map[string][]int{}, map[string]bool{}
	for at, one := range d.groups {
		switch found := index.find(one); len(found) {
		case 0:
			strange++
		case 1:
			d.resolved[found[0]] = append(d.resolved[found[0]], at)
		default:
			for _, id := range found {
				d.ambiguous[id] = true
			}
		}
	}
	d.byLogin = make(map[uint64]int, len(d.logins))
	for number, login := range d.logins {
		if _, twice := d.byLogin[login]; twice {
			number = -1
		}
		d.byLogin[login] = number
	}
	return strange + d.unclear
}

// withLogin is the only user of a user name.
func (d *directory) withLogin(name string) (number int, found bool) {
	login := digestOfLogin(name)
	number, found = d.byLogin[login]
	return number, found && login != 0 && number >= 0
}

// userSet is a set of users by number.
type userSet struct{ words []uint64 }

func (d *directory) newUserSet() *userSet { return &userSet{words: make([]uint64, d.users()/64+1)} }

func (s *userSet) has(number int) bool { return s.words[number/64]>>(number%64)&1 == 1 }

// add reports whether the user was not in it before.
func (s *userSet) add(number int) bool {
	if s.has(number) {
		return false
	}
	s.words[number/64] |= 1 << (number % 64)
	return true
}

// carriersOf are the users who carry a group: directly, without a word on how, and all of
// them, also those who are in it through another group.
func (d *directory) carriersOf(group string) (direct, unknown, all *userSet) {
	direct, unknown, all = d.newUserSet(), d.newUserSet(), d.newUserSet()
	for _, at := range d.resolved[group] {
		for _, number := range d.carriers[at] {
			all.add(int(number))
			switch d.groups[at].Via {
			case viaDirect:
				direct.add(int(number))
			case viaUnknown:
				unknown.add(int(number))
			}
		}
	}
	return direct, unknown, all
}

// directories keeps the directory of a sync, from the listing of the accounts to that of the
// grants of groups, also for another process where there is a journal.
type directories struct {
	journal journal
	room    int
	// filtered means that a filter keeps users from being listed.
	filtered bool

	mu sync.Mutex
	// filling is the directory of the listing that goes on, full that of the last complete one,
	// missing the sync of which there is none.
	filling, full *directory
	missing       *string
}

// What the records of a directory are in the journal; see commitMark.
const (
	recordUser = iota + 1
	recordGroup
	recordEnd
	// endToken is the token of the last commit.
	endToken = "end"
)

// take is the directory of the listing that goes on at a token. If there is none, it is one
// that will not have all users, unless the listing begins.
func (k *directories) take(sync, token string) *directory {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.filling
	switch {
	case token == "":
		k.journal.begin()
		k.full, k.missing = nil, nil
	case d != nil && d.sync == sync && (d.next == token || d.at == token):
		k.filling = nil
		d.next = token
		return d
	default:
		if d := k.restore(sync, token); d != nil {
			return d
		}
	}
	d = newDirectory(sync, token, k.room)
	d.noted = sync != "" && k.journal.dir != ""
	return d
}

func (k *directories) keep(d *directory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := d.next
	if d.ended {
		next = endToken
		if d.proven && d.noted {
			d.pending = append(d.pending, sighting{"proven", recordEnd})
		}
	}
	switch {
	case !d.noted:
	case d.whole && d.logged >= 0:
		d.logged = k.journal.commit(digestOf(d.sync), d.logged, d.pending, next)
	default:
		k.journal.remove(digestOf(d.sync))
	}
	d.pending = nil
	switch {
	case !d.ended:
		k.filling = d
	case d.whole:
		d.read = nil
		k.full = d
	}
}

// of is the complete directory of a sync, nil if there is none.
func (k *directories) of(sync string) *directory {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.full != nil && k.full.sync == sync:
		return k.full
	case k.missing != nil && *k.missing == sync:
		return nil
	}
	d := k.restore(sync, endToken)
	if d == nil {
		k.missing = &sync
		return nil
	}
	d.ended = true
	k.full = d
	return d
}

// restore is the directory of a sync as the journal has it at a page token.
func (k *directories) restore(sync, token string) *directory {
	if sync == "" {
		return nil
	}
	d := newDirectory(sync, "", k.room)
	logged, found := k.journal.replay(digestOf(sync), token, func(one sighting) bool {
		switch one.pass {
		case recordUser:
			return d.noteRecord([]byte(one.id))
		case recordGroup:
			var group ownGroup
			return json.Unmarshal([]byte(one.id), &group) == nil && d.define(group) == len(d.groups)-1
		}
		d.proven = true
		return true
	})
	if !found || !d.whole {
		return nil
	}
	d.next, d.logged, d.noted = token, logged, true
	return d
}

// noteRecord notes a user as the journal has it.
func (d *directory) noteRecord(record []byte) bool {
	const loginSize = 8
	length, n := binary.Uvarint(record)
	if n <= 0 || uint64(len(record)-n) < length+loginSize { //nolint:gosec // not negative
		return false
	}
	end := n + int(length) //nolint:gosec // less than the record has
	id, login := string(record[n:end]), binary.LittleEndian.Uint64(record[end:])
	var carried []uint32
	for record = record[end+loginSize:]; len(record) > 0; record = record[n:] {
		var at uint64
		if at, n = binary.Uvarint(record); n <= 0 || at >= uint64(len(d.groups)) {
			return false
		}
		carried = append(carried, uint32(at)) //nolint:gosec // less than there are groups
	}
	d.note(id, login, carried)
	return d.whole
}
