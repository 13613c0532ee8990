package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// kinds are all kinds.
var kinds = []kind{resourceTypes, resources, entitlements, grants}

// listAll reads everything once, for this check and those that compare with it.
func listAll(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	if s.world, err = crawl(ctx, process.Conn()); err != nil {
		return "", err
	}
	counts := make([]string, 0, len(kinds))
	for _, of := range kinds {
		counts = append(counts, fmt.Sprintf("%d %s", s.world.count(of), of))
	}
	return fmt.Sprintf("%s, in %d lists", strings.Join(counts, ", "), len(s.world.lists)), nil
}

func noTokenTwice(_ context.Context, s *Suite) (string, error) {
	pages := 0
	for _, list := range s.world.lists {
		pages += len(list.pages)
		if list.repeated != "" {
			return "", fmt.Errorf("%s answers page %d with the page token of an earlier page, %.40q: it would never end", list, len(list.pages), list.repeated)
		}
	}
	return fmt.Sprintf("all tokens of %d pages differ", pages), nil
}

func noIDTwice(_ context.Context, s *Suite) (string, error) {
	var wrong []error
	again := 0
	type first struct {
		in      *readList
		message proto.Message
	}
	for _, of := range kinds {
		seen := map[string]first{}
		for _, list := range s.world.lists {
			if list.kind != of || list.repeated != "" {
				continue
			}
			for _, read := range list.pages {
				for _, one := range read.rows {
					before, ok := seen[one.id]
					switch {
					case !ok:
						seen[one.id] = first{list, one.message}
					case isSame(before.message, one.message):
						again++
					default:
						wrong = append(wrong, fmt.Errorf("%q comes twice among the %s, and not the same: in %s and in %s; the later would take the place of the earlier", one.id, of, before.in, list))
					}
				}
			}
		}
	}
	if len(wrong) > 0 {
		return "", firstOf(wrong)
	}
	if again > 0 {
		return fmt.Sprintf("no id is of two things; %d rows come again as they were, which is harmless", again), nil
	}
	return "every id is the only one of its kind", nil
}

// isSame reports whether two rows say the same. An annotation is packed, and one that holds
// a map, such as an account's profile, is packed in another order each time, so it is what
// is in it that counts.
func isSame(one, other proto.Message) bool {
	if proto.Equal(one, other) {
		return true
	}
	texts := [2]bytes.Buffer{}
	for i, message := range []proto.Message{one, other} {
		encoded, err := protojson.Marshal(message)
		if err != nil || json.Compact(&texts[i], encoded) != nil {
			return false
		}
	}
	return bytes.Equal(texts[0].Bytes(), texts[1].Bytes())
}

// firstOf is the first of some errors, and how many more there are.
func firstOf(wrong []error) error {
	if len(wrong) == 1 {
		return wrong[0]
	}
	return fmt.Errorf("%w (and %d more)", wrong[0], len(wrong)-1)
}

func stableIDs(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	second, err := crawl(ctx, process.Conn())
	if err != nil {
		return "", err
	}
	var wrong []error
	for _, of := range kinds {
		before, after := s.world.ids(of), second.ids(of)
		if gone := without(before, after); len(gone) > 0 {
			wrong = append(wrong, fmt.Errorf("%d of %d ids of %s are not there in another process, %q among them; has the app changed meanwhile?", len(gone), len(before), of, gone[0]))
		}
		if fresh := without(after, before); len(fresh) > 0 {
			wrong = append(wrong, fmt.Errorf("%d ids of %s are new in another process, %q among them; has the app changed meanwhile?", len(fresh), of, fresh[0]))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return "", err
	}
	return "another process lists the same ids", nil
}

// without are the ids that are not in the others, sorted.
func without(ids, others map[string]bool) []string {
	var missing []string
	for id := range ids {
		if !others[id] {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing
}

// references looks for what refers to nothing.
func references(_ context.Context, s *Suite) (string, error) {
	known := s.world.ids(resources)
	var wrong []error
	for _, list := range s.world.lists {
		for _, read := range list.pages {
			for _, one := range read.rows {
				if err := s.world.refers(list, one, known); err != nil {
					wrong = append(wrong, err)
				}
			}
		}
	}
	if len(wrong) > 0 {
		return "", firstOf(wrong)
	}
	return "every type, parent, resource and principal that is referred to is listed", nil
}

func (w *world) refers(list *readList, one row, known map[string]bool) error {
	switch message := one.message.(type) {
	case *connectorv2.Resource:
		switch {
		case message.GetId().GetResourceType() != list.typeID:
			return fmt.Errorf("%s has %s, which is of another type", list, one.id)
		case message.HasParentResourceId() && !known[nameOf(message.GetParentResourceId())]:
			return fmt.Errorf("the parent of %s, %s, is not listed", one.id, nameOf(message.GetParentResourceId()))
		}
		for _, annotation := range message.GetAnnotations() {
			child := &connectorv2.ChildResourceType{}
			if annotation.MessageIs(child) && annotation.UnmarshalTo(child) == nil && w.types[child.GetResourceTypeId()] == nil {
				return fmt.Errorf("%s has children of the type %s, which is not listed", one.id, child.GetResourceTypeId())
			}
		}
	case *connectorv2.Entitlement:
		if id := message.GetResource().GetId(); !known[nameOf(id)] {
			return fmt.Errorf("the entitlement %s is of the resource %s, which is not listed", one.id, nameOf(id))
		}
		for _, to := range message.GetGrantableTo() {
			if w.types[to.GetId()] == nil {
				return fmt.Errorf("the entitlement %s can be granted to the type %q, which is not listed", one.id, to.GetId())
			}
		}
	case *connectorv2.Grant:
		if id := message.GetEntitlement().GetResource().GetId(); !known[nameOf(id)] {
			return fmt.Errorf("the grant %s is on the resource %s, which is not listed", one.id, nameOf(id))
		}
		if id := message.GetPrincipal().GetId(); !known[nameOf(id)] && !elsewhere(message) {
			return fmt.Errorf("the grant %s is to %s, which is not listed", one.id, nameOf(id))
		}
	}
	return nil
}

// elsewhere reports whether a grant's principal is to be found outside this connector,
// or inserted with the grant.
func elsewhere(grant *connectorv2.Grant) bool {
	return carries(grant.GetAnnotations(), &connectorv2.ExternalResourceMatch{}) ||
		carries(grant.GetAnnotations(), &connectorv2.ExternalResourceMatchAll{}) ||
		carries(grant.GetAnnotations(), &connectorv2.ExternalResourceMatchID{}) ||
		carries(grant.GetAnnotations(), &connectorv2.InsertResourceGrants{})
}
