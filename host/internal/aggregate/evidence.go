package aggregate

import (
	"cmp"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/errtext"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// mostReason is how many bytes of the reason of a plugin are kept.
const mostReason = 400

// evidence is what a plugin has reported in one sync on its listings. It is safe for
// concurrent use; the zero value has none.
type evidence struct {
	mu       sync.Mutex
	reported []baseline.Evidence
}

func (e *evidence) add(one baseline.Evidence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reported = baseline.MergeEvidence(e.reported, []baseline.Evidence{one})
}

// Evidence returns what a plugin has reported so far on its listings, without those that
// came from the baseline.
func (a *Aggregate) Evidence(instance string) []baseline.Evidence {
	for _, p := range a.plugins {
		if p.Instance == instance {
			p.evidence.mu.Lock()
			defer p.evidence.mu.Unlock()
			return p.evidence.reported
		}
	}
	return nil
}

// noteEvidence takes in what a page, in the aggregate's ids, says of its listing.
func (p *plugin) noteEvidence(request, reply proto.Message) {
	one, _ := evidenceOf(reply)
	switch request := request.(type) {
	case *v2.ResourcesServiceListResourcesRequest:
		one.ResourceType = request.GetResourceTypeId()
	case *v2.EntitlementsServiceListEntitlementsRequest:
		one.ResourceType, one.Kind = request.GetResource().GetId().GetResourceType(), baseline.Entitlements
	case *v2.GrantsServiceListGrantsRequest:
		one.ResourceType, one.Kind = request.GetResource().GetId().GetResourceType(), baseline.Grants
	default:
		return
	}
	if one.Grade != baseline.NotReported {
		p.evidence.add(one)
	}
}

// evidenceOf returns what a page reports on its listing, without what the listing is of,
// and whether the page is the last one. On a page that others follow nothing counts.
func evidenceOf(reply proto.Message) (one baseline.Evidence, last bool) {
	one.Grade = baseline.NotReported
	page, ok := reply.(interface{ GetAnnotations() []*anypb.Any })
	if !ok || !policy.IsLastPage(reply) {
		return one, false
	}
	for _, annotation := range page.GetAnnotations() {
		sent := &pluginv1.Evidence{}
		if !annotation.MessageIs(sent) || annotation.UnmarshalTo(sent) != nil {
			continue
		}
		switch sent.GetGrade() {
		case pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN:
			return baseline.Evidence{Grade: baseline.Unproven, Reason: reasonFrom(sent.GetReason())}, true
		case pluginv1.EvidenceGrade_EVIDENCE_GRADE_PROVEN:
			one.Grade = baseline.Proven
		default: // Not one that is known here.
		}
	}
	return one, true
}

// reasonFrom is a reason of a plugin as it may be shown.
func reasonFrom(text string) string {
	text = errtext.Printable(strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD")), "")
	if short := errtext.Cut(text, mostReason); short != text {
		text = short + "…"
	}
	return cmp.Or(text, "the connector gives no reason")
}

// requireEvidence refuses the last page of a listing that is not proven to be complete,
// where the configuration requires that. Of entitlements and grants it refuses those only
// that are reported to be unproven: most are a part of what was listed before.
func (p *plugin) requireEvidence(doing string, reply proto.Message) error {
	if !p.RequireProven {
		return nil
	}
	one, last := evidenceOf(reply)
	_, ofResources := reply.(*v2.ResourcesServiceListResourcesResponse)
	switch {
	case !last:
		return nil
	case one.Grade == baseline.Unproven:
		return p.refused(codes.FailedPrecondition, doing,
			"nothing proves that the list is complete (%s), and require-evidence is proven, so it is not used; let the app show all of the list, or leave require-evidence out", one.Reason)
	case one.Grade == baseline.NotReported && ofResources:
		return p.refused(codes.FailedPrecondition, doing,
			"this connector does not report what proves that the list is complete, and require-evidence is proven, so it is not used; use a connector that reports it, or leave require-evidence out")
	}
	return nil
}
