package rename

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// dropped are annotations that carry state between one syncer and one
// connector: one mode, one generation, one fingerprint. Through an aggregate
// they would mix plugins, so neither side ever sees the other's. Where dropping
// one from a listing would lose rows, the listing is refused: see elsewhere.
var dropped = map[protoreflect.FullName]bool{
	"c1.connector.v2.SourceCacheCapability":    true,
	"c1.connector.v2.SourceCacheRecord":        true,
	"c1.connector.v2.SourceCacheReplay":        true,
	"c1.connector.v2.SourceCacheLookupOffer":   true,
	"c1.connector.v2.SourceCacheLookupAsk":     true,
	"c1.connector.v2.SourceCacheLookupAnswers": true,
	"c1.connector.v2.ETag":                     true,
	"c1.connector.v2.ETagMetadata":             true,
	"c1.connector.v2.ETagMatch":                true,
}

// annotationRule is what becomes of annotations of one type. The zero value
// leaves them alone, undecoded: most carry no reference.
type annotationRule struct {
	drop bool
	mt   protoreflect.MessageType // to decode, rename and encode again
	plan *plan
}

var annotationRules sync.Map // type URL -> annotationRule

func ruleFor(url string) annotationRule {
	if known, ok := annotationRules.Load(url); ok {
		if rule, ok := known.(annotationRule); ok {
			return rule
		}
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		// Of a type that this SDK does not know. Not remembered: there is no
		// end of names that a plugin can make up.
		return annotationRule{}
	}
	var rule annotationRule
	if dropped[mt.Descriptor().FullName()] {
		rule.drop = true
	} else if p := planFor(mt.Descriptor()); p != nil {
		rule.mt, rule.plan = mt, p
	}
	annotationRules.Store(url, rule)
	return rule
}

// Annotations may hold annotations. Nothing in use goes deeper than this, and
// only a plugin that means harm goes much deeper.
const maxNesting = 16

// annotation renames inside one annotation. keep is false if it is to go.
func (w *rewriter) annotation(m protoreflect.Message) (keep bool, err error) {
	wrapped, ok := m.Interface().(*anypb.Any)
	if !ok || !m.IsValid() {
		return true, nil
	}
	rule := ruleFor(wrapped.GetTypeUrl())
	if rule.drop {
		return false, nil
	}
	if rule.plan == nil {
		return true, nil
	}

	if w.nesting == maxNesting {
		return false, fmt.Errorf("its annotations are nested more than %d deep", maxNesting)
	}
	w.nesting++
	defer func() { w.nesting-- }()
	content := rule.mt.New()
	if err := proto.Unmarshal(wrapped.GetValue(), content.Interface()); err != nil {
		return false, fmt.Errorf("the annotation %s cannot be decoded: %w", content.Descriptor().FullName(), err)
	}
	before := w.edits
	if err := w.message(content, rule.plan); err != nil {
		return false, err
	}
	if w.edits == before {
		return true, nil
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(content.Interface())
	if err != nil {
		return false, fmt.Errorf("the annotation %s cannot be encoded: %w", content.Descriptor().FullName(), err)
	}
	wrapped.Value = value
	return true, nil
}

func (w *rewriter) annotationList(list protoreflect.List) error {
	kept := 0
	for i := range list.Len() {
		keep, err := w.annotation(list.Get(i).Message())
		if err != nil {
			return err
		}
		if !keep {
			w.edits++
			continue
		}
		if kept != i {
			list.Set(kept, list.Get(i))
		}
		kept++
	}
	if kept < list.Len() {
		list.Truncate(kept)
	}
	return nil
}

func (w *rewriter) annotationField(m protoreflect.Message, fd protoreflect.FieldDescriptor) error {
	keep, err := w.annotation(m.Get(fd).Message())
	if err == nil && !keep {
		m.Clear(fd)
		w.edits++
	}
	return err
}
