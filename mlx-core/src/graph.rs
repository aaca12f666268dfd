//! An order in which everything comes after what it requires.

use std::{cmp::Reverse, collections::BinaryHeap};

/// What each node requires, and what it would rather follow.
pub(crate) struct Graph {
    pub(crate) requires: Vec<Vec<usize>>,
    pub(crate) optional: Vec<Vec<usize>>,
}

impl Graph {
    /// The nodes so that each follows what it requires, and what it would rather follow where no circle results.
    /// Among nodes that could come next, the smallest comes first.
    ///
    /// # Errors
    /// Every circle of requirements, as the nodes along it, the smallest first.
    pub(crate) fn order(&self) -> Result<Vec<usize>, Vec<Vec<usize>>> {
        let strict = components(self.requires.len(), |node| self.requires[node].iter());
        let circles: Vec<Vec<usize>> = strict
            .iter()
            .filter(|c| c.len() > 1 || self.requires[c[0]].contains(&c[0]))
            .map(|component| self.circle(component))
            .collect();
        if !circles.is_empty() {
            return Err(circles);
        }
        // A wish is dropped when its fulfilment would close a circle.
        let all = components(self.requires.len(), |node| self.requires[node].iter().chain(&self.optional[node]));
        let mut component_of = vec![0; self.requires.len()];
        for (number, component) in all.iter().enumerate() {
            for node in component {
                component_of[*node] = number;
            }
        }
        let mut followers = vec![Vec::new(); self.requires.len()];
        let mut waiting = vec![0usize; self.requires.len()];
        for node in 0..self.requires.len() {
            let wishes = self.optional[node].iter().filter(|other| component_of[**other] != component_of[node]);
            for before in self.requires[node].iter().chain(wishes) {
                followers[*before].push(node);
                waiting[node] += 1;
            }
        }
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..waiting.len()).filter(|node| waiting[*node] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for follower in &followers[node] {
                waiting[*follower] -= 1;
                if waiting[*follower] == 0 {
                    ready.push(Reverse(*follower));
                }
            }
        }
        Ok(order)
    }

    /// A shortest circle through the smallest node of a strongly connected component.
    fn circle(&self, component: &[usize]) -> Vec<usize> {
        let start = component[0];
        let mut came_from = std::collections::HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for next in &self.requires[node] {
                if *next == start {
                    let mut circle = vec![node];
                    while let Some(before) = came_from.get(circle.last().unwrap_or(&start)) {
                        circle.push(*before);
                    }
                    circle.reverse();
                    return circle;
                }
                if component.binary_search(next).is_ok() && !came_from.contains_key(next) {
                    came_from.insert(*next, node);
                    queue.push_back(*next);
                }
            }
        }
        component.to_vec()
    }
}

/// The strongly connected components (Tarjan, "Depth-first search and linear graph algorithms", 1972), each sorted,
/// without recursion so that a long chain cannot exhaust the stack.
fn components<'g, I: Iterator<Item = &'g usize>>(nodes: usize, edges: impl Fn(usize) -> I) -> Vec<Vec<usize>> {
    const NONE: usize = usize::MAX;
    let (mut index, mut low, mut on_stack) = (vec![NONE; nodes], vec![0; nodes], vec![false; nodes]);
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..nodes {
        if index[root] != NONE {
            continue;
        }
        let mut work = vec![(root, edges(root))];
        (index[root], low[root]) = (next, next);
        next += 1;
        stack.push(root);
        on_stack[root] = true;
        while let Some((node, rest)) = work.last_mut() {
            let node = *node;
            if let Some(&other) = rest.next() {
                if index[other] == NONE {
                    (index[other], low[other]) = (next, next);
                    next += 1;
                    stack.push(other);
                    on_stack[other] = true;
                    work.push((other, edges(other)));
                } else if on_stack[other] {
                    low[node] = low[node].min(index[other]);
                }
                continue;
            }
            work.pop();
            if let Some((parent, _)) = work.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == index[node] {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member] = false;
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                component.sort_unstable();
                found.push(component);
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(requires: &[&[usize]], optional: &[&[usize]]) -> Graph {
        let own = |lists: &[&[usize]]| lists.iter().map(|list| list.to_vec()).collect::<Vec<_>>();
        let mut optional = own(optional);
        optional.resize(requires.len(), Vec::new());
        Graph { requires: own(requires), optional }
    }

    #[test]
    fn requirements_come_first_and_ties_go_to_the_smallest() {
        assert_eq!(graph(&[&[2], &[], &[]], &[]).order(), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn every_circle_is_found() {
        let found = graph(&[&[1], &[0], &[3], &[4], &[2], &[5]], &[]).order();
        assert_eq!(found, Err(vec![vec![0, 1], vec![2, 3, 4], vec![5]]));
    }

    #[test]
    fn a_wish_is_followed_unless_it_closes_a_circle() {
        assert_eq!(graph(&[&[], &[]], &[&[1], &[]]).order(), Ok(vec![1, 0]));
        assert_eq!(graph(&[&[], &[0]], &[&[1], &[]]).order(), Ok(vec![0, 1]));
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let requires: Vec<Vec<usize>> = (0..100_000).map(|n| if n == 0 { vec![] } else { vec![n - 1] }).collect();
        let optional = vec![Vec::new(); requires.len()];
        let order = Graph { requires, optional }.order().unwrap();
        assert_eq!((order[0], order[99_999]), (0, 99_999));
    }
}
