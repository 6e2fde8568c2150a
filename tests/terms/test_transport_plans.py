import pytest
import torch

from bouba.errors import DataError, ModalityError, UsageError
from bouba.nn.sinkhorn import log_sinkhorn
from bouba.terms import Space, TransportPlans, transport_plans


def plan_by_hand(affinity, sharpness):
    plan = (affinity / sharpness).exp()
    for _ in range(20_000):
        plan = plan / plan.sum(1, keepdim=True) / len(plan)
        plan = plan / plan.sum(0, keepdim=True) / plan.shape[1]
    return plan


def test_definition_and_gradient():
    affinity, teacher = torch.rand(2, 5, 4, dtype=torch.float64)
    affinity.requires_grad_()
    made, wanted = plan_by_hand(affinity.detach(), 0.2), plan_by_hand(teacher, 0.2)
    value = transport_plans(affinity, teacher, sharpness=0.2)
    assert value.item() == pytest.approx((wanted * (wanted / made).log()).sum().item(), rel=1e-6)
    value.backward()
    torch.testing.assert_close(affinity.grad, (made - wanted) / 0.2, rtol=1e-5, atol=1e-8)


def test_law_plans_share_out_evenly():
    plan = log_sinkhorn(torch.rand(5, 8, dtype=torch.float64), 0.1).exp()
    torch.testing.assert_close(plan.sum(1), torch.full((5,), 1 / 5, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(0), torch.full((8,), 1 / 8, dtype=torch.float64), rtol=1e-6, atol=0)


def test_law_a_level_of_rows_or_columns_changes_nothing():
    affinity, teacher = torch.rand(2, 5, 4, dtype=torch.float64)
    moved = affinity + torch.randn(5, 1, dtype=torch.float64) + torch.randn(4, dtype=torch.float64)
    torch.testing.assert_close(
        transport_plans(moved, teacher), transport_plans(affinity, teacher), rtol=1e-5, atol=1e-8
    )


def test_recovery_affinities_learn_the_teachers_matching():
    teacher = torch.eye(6)[torch.tensor([3, 1, 5, 0, 2, 4])]
    affinity = torch.zeros(6, 6, requires_grad=True)
    optimizer = torch.optim.Adam([affinity], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        transport_plans(affinity, teacher).backward()
        optimizer.step()
    assert affinity.argmax(1).tolist() == [3, 1, 5, 0, 2, 4]


def test_refusals():
    affinity = torch.rand(3, 4)
    with pytest.raises(UsageError, match=r"two matrices of one shape \(n, m\), got \(3, 4\) and \(4, 3\)"):
        transport_plans(affinity, affinity.T)
    with pytest.raises(UsageError, match="sharpness must be one finite number above 0, got 0"):
        transport_plans(affinity, affinity, sharpness=0)
    with pytest.raises(DataError, match="teacher holds NaN or infinity"):
        transport_plans(affinity, affinity.masked_fill(affinity > 0, torch.nan))
    with pytest.raises(
        ModalityError, match="TransportPlans reads 'b' before training, and its encoder has no raw form"
    ):
        TransportPlans((("a", "b"),)).state(Space({"a": 3, "b": 3}, raw={"a": (3,)}))
