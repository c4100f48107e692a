// Which image of a batch each element of a value is of (gb_images, ir/ir.h): followed from the
// inputs through every operator, so that none lets one image see another unnoticed.
#ifndef GB_OP_IMAGES_H
#define GB_OP_IMAGES_H

#include "ir/ir.h"

// Sets `images` of a node's outputs by its operator's rule; shapes and constants are known. An
// operator without a rule makes every image depend on its batch. What is made of shapes is called
// COUNTED, until somebody knows that it is the same for another batch.
void gb_images_follow(gb_node *node);

// --- rules (gb_op.images), called where some inputs hold images apart and no input mixes them ---

// Each element is made of those at its place in the inputs, with numpy's broadcasting.
int64_t gb_images_pointwise(const gb_node *node, int k);
// The elements of input 0 in their order, in another shape.
int64_t gb_images_renamed(const gb_node *node, int k);
// Input 0 is taken apart along axis 0; the other inputs are weights.
int64_t gb_images_leading(const gb_node *node, int k);
// The same along axes 0 and 1: every plane by itself.
int64_t gb_images_planes(const gb_node *node, int k);
// What op/index.h describes.
int64_t gb_images_indexed(const gb_node *node, int k);

// --- what rules are made of ---

// The axis that images lie along, of outer * batch * inner elements.
typedef struct gb_images_place {
    int axis;
    int64_t outer, inner;
} gb_images_place;

bool gb_holds_images(const gb_value *v);
// Whether it depends on how many images there are, as no weight may.
bool gb_counts_images(const gb_value *v);
// Whether input 0 alone holds images.
bool gb_images_first_only(const gb_node *node);
// False where the images are spread over several axes. The batch is more than one image.
bool gb_images_find(gb_images_place *out, const gb_shape *shape, int64_t inside, int64_t batch);
// How many elements one step along the axis is.
int64_t gb_images_step(const gb_shape *shape, int axis);
// Whether elements that are joined along one axis, or several neighbouring ones, are of one image:
// those whose numbers e have the same e / high and e % low.
bool gb_images_clear_of(const gb_node *node, int input, int64_t low, int64_t high);
// `inside` for an input that broadcasts to `shape`, 0 where that cannot be said.
int64_t gb_images_broadcast(const gb_node *node, int input, const gb_shape *shape);
// Whether an input without images, broadcast to `shape`, is the same for every image there.
bool gb_images_same(const gb_node *node, int input, const gb_shape *shape, int64_t inside);

#endif
