package sdkfast

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble/codec"
)

// interleaved answers the syncer where it looks for the resources whose entitlements or
// grants it lists: with those of all plugins in turns, each in proportion to how many it
// has. The syncer (baton-sdk v0.25.0) works on at most 100 of them at a time, neighbors in
// this list together, and the store sorts by type: all of one plugin would come before the first of
// the next, and plugins that serve one listing at a time would wait for each other.
// Types without entitlements and grants are left out, which the syncer would do with
// each of their resources. Within one plugin the order is the store's.
func (p *Store) interleaved(ctx context.Context, request *connectorv2.ResourcesServiceListResourcesRequest) (*connectorv2.ResourcesServiceListResourcesResponse, error) {
	parts, err := p.parts(request.GetPageToken())
	if err != nil {
		return nil, err
	}
	total := 0
	for _, part := range parts {
		total += part.Left
	}
	type placed struct {
		resource *connectorv2.Resource
		at       float64 // of its plugin's rows on this page, from 0 to 1
	}
	var page []placed
	for _, part := range parts {
		share := max(1, interleavedPage*part.Left/total)
		rows, err := p.partOf(ctx, part, share)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			page = append(page, placed{row, (float64(i) + 0.5) / float64(len(rows))})
		}
	}
	slices.SortStableFunc(page, func(x, y placed) int { return cmp.Compare(x.at, y.at) })
	list := make([]*connectorv2.Resource, 0, len(page))
	for _, one := range page {
		list = append(list, one.resource)
	}
	token, err := tokenFor(parts)
	if err != nil {
		return nil, err
	}
	return connectorv2.ResourcesServiceListResourcesResponse_builder{List: list, NextPageToken: token}.Build(), nil
}

// interleavedPage is how many resources are looked for at a time, as many as by the SDK.
const interleavedPage = pebble.DefaultPageSize

// part is what is still to be read of one plugin's resources.
type part struct {
	Types []string `json:"types"` // the first one is being read
	After string   `json:"after"` // the id of the last resource of that type that was read
	Left  int      `json:"left"`  // about how many there are; at least 1
}

// parts returns what is still to be read according to a page token; all without one.
func (p *Store) parts(token string) ([]*part, error) {
	var parts []*part
	if token != "" {
		if err := json.Unmarshal([]byte(token), &parts); err != nil {
			return nil, fmt.Errorf("the page token of the resources to look for: %w", err)
		}
		return parts, nil
	}
	p.mu.Lock()
	var types []string
	for id, mayHave := range p.types {
		if mayHave {
			types = append(types, id)
		}
	}
	p.mu.Unlock()
	slices.Sort(types)

	p.putting.Lock()
	defer p.putting.Unlock()
	byPlugin := map[string]*part{}
	for _, id := range types {
		// The aggregate puts a plugin's namespace in front of its types.
		namespace, _, _ := strings.Cut(id, ".")
		if byPlugin[namespace] == nil {
			byPlugin[namespace] = &part{Left: 1}
			parts = append(parts, byPlugin[namespace])
		}
		byPlugin[namespace].Types = append(byPlugin[namespace].Types, id)
		byPlugin[namespace].Left += int(p.rows[id])
	}
	return parts, nil
}

// partOf reads up to that many resources of one plugin, fewer only at its end.
func (p *Store) partOf(ctx context.Context, of *part, most int) ([]*connectorv2.Resource, error) {
	var rows []*connectorv2.Resource
	for len(of.Types) > 0 && len(rows) < most {
		asked := most - len(rows)
		answer, err := p.syncerStore.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{
			PageToken: cursorBehind(of.Types[0], of.After),
			PageSize:  uint32(asked), //nolint:gosec // It is at most interleavedPage.
		}.Build())
		if err != nil {
			return nil, err
		}
		found := 0
		for _, row := range answer.GetList() {
			if row.GetId().GetResourceType() != of.Types[0] {
				break
			}
			rows = append(rows, row)
			of.After = row.GetId().GetResource()
			found++
		}
		if found < asked {
			of.Types, of.After = of.Types[1:], ""
		}
	}
	of.Left = max(1, of.Left-len(rows))
	return rows, nil
}

func tokenFor(parts []*part) (string, error) {
	parts = slices.DeleteFunc(parts, func(one *part) bool { return len(one.Types) == 0 })
	if len(parts) == 0 {
		return "", nil
	}
	token, err := json.Marshal(parts)
	return string(token), err
}

// cursorBehind returns the engine's page token (baton-sdk v0.25.0, encodeCursor) for the
// resources behind this one; without an id, for all of the type and those behind it.
func cursorBehind(resourceType, id string) string {
	key := codec.AppendTupleSeparator(pebble.ResourceLowerBound())
	return base64.RawURLEncoding.EncodeToString(codec.AppendTupleStrings(key, resourceType, id))
}
