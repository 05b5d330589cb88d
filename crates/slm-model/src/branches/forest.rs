//! Branches as a forest of tokens: what several begin with is there once.

/// Tokens that go on from each other, in an order in which each stands behind what it goes on from.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Forest {
    pub(super) ids: Vec<u32>,
    /// The token before each; none for one that begins a branch.
    pub(super) parents: Vec<Option<usize>>,
    /// Tokens before each on its branch.
    pub(super) depths: Vec<usize>,
    /// The number of each branch, and its tokens but the last, which nothing follows.
    pub(super) paths: Vec<(usize, Vec<usize>)>,
}

/// The branches of more than one token in forests of at most `limit` tokens, one branch at least in each.
pub(super) fn forests(branches: &[Vec<u32>], limit: usize) -> Vec<Forest> {
    let mut order: Vec<usize> = (0..branches.len())
        .filter(|&branch| branches[branch].len() > 1)
        .collect();
    order.sort_by_key(|&branch| &branches[branch]);
    let mut forests: Vec<Forest> = Vec::new();
    for branch in order {
        let read = &branches[branch][..branches[branch].len() - 1];
        let fits = |forest: &Forest| forest.ids.len() + read.len() - forest.shared(read) <= limit;
        if !forests.last().is_some_and(fits) {
            forests.push(Forest::default());
        }
        if let Some(forest) = forests.last_mut() {
            forest.add(branch, read);
        }
    }
    forests
}

impl Forest {
    /// Tokens that a branch begins with alike with the last one; in their order, no other shares more.
    fn shared(&self, read: &[u32]) -> usize {
        let last = self.paths.last().map_or(&[][..], |(_, path)| path);
        let alike = last.iter().zip(read);
        alike
            .take_while(|(node, id)| self.ids[**node] == **id)
            .count()
    }

    fn add(&mut self, branch: usize, read: &[u32]) {
        let shared = self.shared(read);
        let last = self.paths.last();
        let mut path = last.map_or(Vec::new(), |(_, path)| path[..shared].to_vec());
        for (depth, &id) in read.iter().enumerate().skip(shared) {
            self.parents.push(path.last().copied());
            self.depths.push(depth);
            path.push(self.ids.len());
            self.ids.push(id);
        }
        self.paths.push((branch, path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_branches_begin_with_is_there_once() {
        let branches = [
            vec![5, 6, 9],
            vec![7],
            vec![5, 6, 8, 1],
            vec![5, 2],
            vec![5, 6, 9],
        ];
        let forests = forests(&branches, 10);
        let wanted = Forest {
            // 5; then 6 and 8 after it.
            ids: vec![5, 6, 8],
            parents: vec![None, Some(0), Some(1)],
            depths: vec![0, 1, 2],
            paths: vec![
                (3, vec![0]),
                (2, vec![0, 1, 2]),
                (0, vec![0, 1]),
                (4, vec![0, 1]),
            ],
        };
        assert_eq!(forests, [wanted]);
    }

    #[test]
    fn a_forest_has_a_limit() {
        let branches = [vec![1, 2, 3], vec![1, 2, 4], vec![1, 5, 6, 7], vec![1; 9]];
        let sizes: Vec<usize> = forests(&branches, 4)
            .iter()
            .map(|forest| forest.ids.len())
            .collect();
        // The longest is alone, though it is over the limit; what two forests begin with is in both.
        assert_eq!(sizes, [8, 4]);
        assert!(forests(&[vec![3], vec![4]], 4).is_empty());
    }
}
