package scim

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	"github.com/batonhost/baton-host/scim/internal/listing"
)

// This file decides who is in a group, by its members and by the groups that users carry, and
// what proves that these are all. The section "Members" of internal/listing/PROOF.md has the
// argument.

// grantee is who is granted the membership of a group.
type grantee struct {
	id    string
	group bool
}

// membership is who is in a group.
type membership struct {
	grantees []grantee
	// sum identifies the grantees in their order.
	sum uint64
	// name is what the group is called in messages.
	name string
	// gone means that there is no such group any more.
	gone bool
	// listed is how many members the app lists, and tooMany means that it lists more than
	// can be read. Of them others are neither users nor groups, unlisted are no listed
	// accounts, lost no listed groups, and byLogin users who are given by their user name.
	listed                          int
	tooMany                         bool
	others, unlisted, lost, byLogin int
	// directory means that the users were listed before, filtered that not all of them
	// were, and carried that they carry groups.
	directory, filtered, carried bool
	// carriers is how many users carry the group, extra how many of them are not among its
	// members, and silent how many of its members do not carry it.
	carriers, extra, silent int
	// ambiguous means that users carry a group by a name that others have too, unclear how many
	// users are in it who may be in it through another group only, or who may carry more
	// groups than the app sends, and usersProven that the list of users is proven to be complete.
	ambiguous   bool
	unclear     int
	usersProven bool
}

// resolve finds out who is in a group. Without a directory the members alone count.
func (s *groupSyncer) resolve(ctx context.Context, of *v2.Resource, members []memberValue, tooMany bool, d *directory) (membership, error) {
	id := of.GetId().GetResource()
	in := membership{name: s.listing.endpoint.nameOf(of), listed: len(members), tooMany: tooMany, filtered: s.directories.filtered}
	r := &resolving{groupSyncer: s, id: id, in: &in, directory: d}
	if d != nil {
		if err := r.prepare(ctx); err != nil {
			return membership{}, err
		}
	}
	for _, m := range members {
		if err := r.add(ctx, m); err != nil {
			return membership{}, err
		}
	}
	if in.carried {
		r.unite()
	}
	h := fnv.New64a()
	for _, one := range in.grantees {
		kind := "u"
		if one.group {
			kind = "g"
		}
		_, _ = h.Write([]byte(kind + one.id + "\x00"))
	}
	in.sum = h.Sum64()
	return in, nil
}

// nameOf is what a group is called in messages.
func (c *endpoint) nameOf(of *v2.Resource) string {
	const longest = 60
	id := c.quote(of.GetId().GetResource())
	name := cut(c.quote(of.GetDisplayName()), longest)
	if name == "" || name == id {
		return fmt.Sprintf("%q", id)
	}
	return fmt.Sprintf("%q (%s)", name, id)
}

// resolving is the work of resolve.
type resolving struct {
	*groupSyncer
	id        string
	in        *membership
	directory *directory
	// groups are those that are listed; read when they are needed.
	groups *groupIndex
	// users are those among the members, nested the groups.
	users  *userSet
	nested []string
}

func (r *resolving) prepare(ctx context.Context) error {
	groups, err := r.groupIDs(ctx)
	if err != nil {
		return err
	}
	r.groups, r.users = groups, r.directory.newUserSet()
	if strange := r.directory.resolve(groups); strange > 0 {
		ctxzap.Extract(ctx).Warn("scim: users carry groups that the list of groups does not have; they are left out", zap.Int("groups", strange))
	}
	in, d := r.in, r.directory
	// Where users carry no group that is listed, it is something else that they carry.
	in.carried = len(d.resolved)+len(d.ambiguous) > 0
	in.directory, in.usersProven, in.ambiguous = true, d.proven, d.ambiguous[r.id]
	return nil
}

// add adds a member.
func (r *resolving) add(ctx context.Context, m memberValue) error {
	id, kind := m.id(), m.kind()
	if kind == memberOther {
		r.in.others++
		return nil
	}
	if r.directory == nil {
		if kind == memberUnknown {
			var err error
			if kind, err = r.kindOf(ctx, id); err != nil {
				return err
			}
		}
		r.grant(id, kind == memberGroup)
		return nil
	}
	number, isUser := r.directory.number(id)
	isGroup := r.groups.has(id)
	if ref := (memberValue{Ref: m.Ref, PlainRef: m.PlainRef}).id(); !isUser && !isGroup && ref != "" {
		// The value is something else than the id, which the reference has.
		named, isNamed := r.byUserName(id, kind)
		number, isUser = r.directory.number(ref)
		if isUser && isNamed && named != number {
			r.in.unlisted++ // They contradict each other.
			return nil
		}
		if isUser || r.groups.has(ref) {
			id, isGroup = ref, r.groups.has(ref)
		}
	}
	switch {
	case kind == memberUnknown && isGroup && !isUser && r.in.filtered:
		// There may be a user of that id whom the filter leaves out.
		found, err := r.userOrGroup(ctx, id)
		if err != nil {
			return err
		}
		kind = found
	case kind == memberUnknown && isGroup && !isUser:
		kind = memberGroup
	}
	switch {
	case kind == memberGroup && isGroup:
		r.grant(id, true)
	case kind == memberGroup:
		r.in.lost++
	case isUser:
		r.grantUser(number)
	default:
		number, found := r.byUserName(id, kind)
		if !found {
			r.in.unlisted++
			return nil
		}
		r.in.byLogin++
		r.grantUser(number)
	}
	return nil
}

// byUserName is the user whom a member means that is no id: the only one of that user name,
// if all users are known. Where a filter or the app may keep one from being listed, that one may
// have it as id.
func (r *resolving) byUserName(name string, kind memberKind) (number int, found bool) {
	if r.in.filtered || !r.in.usersProven || r.groups.has(name) || kind == memberUnknown && len(r.groups.byName[foldName(name)]) > 0 {
		return 0, false
	}
	return r.directory.withLogin(name)
}

// grantUser grants the membership to a listed user.
func (r *resolving) grantUser(number int) {
	if r.users.add(number) {
		r.grant(r.directory.id(number), false)
	}
}

func (r *resolving) grant(id string, group bool) {
	switch {
	case group && id == r.id: // That a group is a member of itself grants nothing.
		return
	case group:
		r.nested = append(r.nested, id)
	}
	r.in.grantees = append(r.in.grantees, grantee{id, group})
}

// kindOf is what a member is that the app does not declare to be anything.
func (s *groupSyncer) kindOf(ctx context.Context, id string) (memberKind, error) {
	groups, err := s.groupIDs(ctx)
	if err != nil || !groups.has(id) {
		return memberUser, err
	}
	return s.userOrGroup(ctx, id)
}

// unite adds the users who carry the group and are not among its members. Who is in it
// through another group gets it through that one.
func (r *resolving) unite() {
	in, d := r.in, r.directory
	direct, unknown, all := d.carriersOf(r.id)
	through := d.newUserSet()
	for _, nested := range r.nested {
		nestedDirect, nestedUnknown, _ := d.carriersOf(nested)
		for i := range through.words {
			through.words[i] |= nestedDirect.words[i] | nestedUnknown.words[i]
		}
	}
	for i, listed := range r.users.words {
		in.silent += bits.OnesCount64(listed &^ all.words[i])
		in.carriers += bits.OnesCount64(listed & all.words[i])
		explained := unknown.words[i] &^ direct.words[i] & through.words[i] &^ listed
		in.unclear += bits.OnesCount64(explained)
		extra := (direct.words[i] | unknown.words[i]) &^ explained &^ listed
		in.extra += bits.OnesCount64(extra)
		for ; extra != 0; extra &= extra - 1 {
			r.grant(d.id(i*64+bits.TrailingZeros64(extra)), false)
		}
	}
	in.carriers += in.extra
	cut := d.newUserSet()
	for _, number := range d.cut {
		if cut.add(int(number)) && !all.has(int(number)) {
			in.unclear++
		}
	}
}

// report logs what is left out of a group, and what is doubtful.
func (in membership) report(ctx context.Context, group string) {
	l := ctxzap.Extract(ctx)
	if in.others > 0 {
		l.Warn("scim: members of a group that are neither users nor groups, or that the app says are both; they are left out",
			zap.String("group", group), zap.Int("members", in.others))
	}
	switch {
	case in.unlisted > 0 && in.filtered:
		l.Info("scim: members of a group that the filter keeps from being listed; they are left out",
			zap.String("group", group), zap.Int("members", in.unlisted))
	case in.unlisted > 0:
		l.Warn("scim: members of a group that are not listed accounts; they are left out",
			zap.String("group", group), zap.Int("members", in.unlisted), zap.Int("of", in.listed))
	}
	if in.lost > 0 {
		l.Warn("scim: members of a group that are groups which are not listed; they are left out",
			zap.String("group", group), zap.Int("members", in.lost), zap.Int("of", in.listed))
	}
	if in.byLogin > 0 {
		l.Info("scim: members of a group that are given by their user name; each is the only user of that name",
			zap.String("group", group), zap.Int("members", in.byLogin))
	}
	if reason := in.reason(); reason != "" {
		level := zap.WarnLevel
		if !in.directory {
			level = zap.InfoLevel // Who asks for the members of one group has not listed the users.
		}
		l.Log(level, "scim: nothing proves that the members of a group are complete", zap.String("group", group), zap.String("reason", reason))
	}
}

// reason is why nothing proves that the members are complete, "" if something does. The
// gravest comes first.
func (in membership) reason() string {
	isRound := slices.Contains(listing.RoundSizes, in.listed)
	atRound := fmt.Sprintf("the group %s ends at %d members, a size at which apps cut lists", in.name, in.listed)
	switch {
	case in.gone:
		return ""
	case in.tooMany:
		return fmt.Sprintf("the members of the group %s are more than can be read, so it is granted to the %d users who carry it in their own groups, and to no group", in.name, in.carriers)
	case in.extra > 0 || in.silent > 0 && !in.ambiguous:
		return in.difference()
	case in.unlisted > 0 && !in.filtered:
		return fmt.Sprintf("%d of the %d members of the group %s are not listed accounts, so they are granted nothing", in.unlisted, in.listed, in.name)
	case in.lost > 0:
		return fmt.Sprintf("%d of the %d members of the group %s are groups that are not listed, so they are granted nothing", in.lost, in.listed, in.name)
	case in.ambiguous:
		return fmt.Sprintf("users carry the group %s by a name that other groups have too, so whether they are its members is not known", in.name)
	case !in.directory:
		return fmt.Sprintf("the users were not listed before the members of the group %s in this sync, or are more than are kept, so the members alone count, without the groups that users carry", in.name)
	case isRound && !in.carried:
		return atRound + ", and users carry no groups that confirm them"
	case isRound && in.unclear > 0:
		return fmt.Sprintf("%s, and %d users may carry it whose own groups do not show it", atRound, in.unclear)
	case isRound && !in.usersProven && !in.filtered:
		return atRound + ", and the list of users, who confirm them, is not proven"
	}
	return ""
}

// difference is how members and users differ.
func (in membership) difference() string {
	var parts []string
	if in.extra > 0 {
		parts = append(parts, fmt.Sprintf("%d users carry it who are not among its members", in.extra))
	}
	if in.silent > 0 {
		parts = append(parts, fmt.Sprintf("%d of its members do not carry it", in.silent))
	}
	return fmt.Sprintf("the app lists %d members of the group %s, and %d users carry it in their own groups: %s; all of them are granted",
		in.listed, in.name, in.carriers, strings.Join(parts, ", and "))
}

// evidence is what proves that the members are complete. empty is why a group without
// members may have some, "" if nothing is.
func (in membership) evidence(empty string) *pluginv1.Evidence {
	evidence := &pluginv1.Evidence{Grade: pluginv1.EvidenceGrade_EVIDENCE_GRADE_PROVEN, Resources: int64(len(in.grantees))}
	reason := in.reason()
	if empty != "" && (reason == "" || !in.directory) {
		reason = empty
	}
	if reason != "" {
		evidence.Grade, evidence.Reason = pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN, reason
	}
	return evidence
}
